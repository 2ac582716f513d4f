"""timm: one network or more of every family."""

from torch import nn

from skipstone.models.target import outline
from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Inputs, Network, flag, given, image

TIMM = """
    aimv2_large_patch14_224 beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coat_lite_mini coat_tiny
    coatnet_0_rw_224 convit_tiny convmixer_768_32 convnext_atto convnextv2_atto cpubone_nano crossvit_9_240
    crossvit_15_dagger_240 cs3darknet_s cspresnet50 csatv2 cspnext_s darknet53 davit_tiny deepseek_vit_412m
    deit_tiny_patch16_224 deit3_small_patch16_224 densenet121 dla34 dla60 dla60_res2net dm_nfnet_f0 dpn68 dpn92
    eca_nfnet_l0 ese_vovnet19b_dw ese_vovnet39b resnet50 seresnet50 ecaresnet26t resnetrs50 edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientnetv2_rw_t mixnet_s mnasnet_100 mobilenetv2_100
    tinynet_e efficientvim_m1 efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8
    lcnet_050 mobilenetv3_large_100 mobilenetv4_conv_small mobilenetv4_hybrid_medium focalnet_tiny_srf gcvit_xxtiny
    gemma4_vit_167m ghostnet_050 ghostnetv2_100 gmlp_ti16_224 mixer_b16_224 resmlp_12_224 gmixer_12_224 gernet_m
    repvgg_a0 gcresnet33ts hardcorenas_a hgnet_tiny hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny hrnet_w18_small
    iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small legacy_seresnet18
    legacy_seresnext26_32x4d legacy_xception levit_128s lowformer_b0 mambaout_femto maxvit_pico_rw_256
    maxvit_tiny_tf_224 mobilenetv5_300m mobilevit_xxs mobilevitv2_050 mvitv2_tiny naflexvit_base_patch16_gap
    nasnetalarge nest_tiny nextvit_small pit_ti_224 pnasnet5large poolformer_s12 poolformerv2_s12 pvt_v2_b0
    qwen3_vit_88m rdnet_tiny regnetx_002 regnety_002 regnetz_c16 repghostnet_050 repvit_m1 res2net50_14w_8s
    res2net50_26w_4s resnest14d resnetv2_50 resnetv2_18 rexnet_100 samvit_base_patch16_224 selecsls42 sequencer2d_s
    shvit_s1 skresnet18 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_tiny_window8_256
    swinv2_cr_tiny_224 vit_relpos_small_patch16_224 tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m twins_pcpvt_small
    twins_svt_small vgg11 visformer_tiny vit_tiny_patch16_224 vit_base_patch16_rpn_224 vit_small_r26_s32_224
    vitamin_small_224 volo_d1_224 xception41 xcit_nano_12_p16_224
""".split()


def _network(name: str) -> Network:
    def build() -> nn.Module:
        return outline(f"timm:{name}")

    def inputs() -> Inputs:
        import_torchvision("timm")
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(name)
        assert config is not None
        return image(2, *config.input_size)()

    return Network(name, build, inputs)


_HAS_SKIP = {
    name: flag("has_skip")
    for name in "InvertedResidual DepthwiseSeparableConv EdgeResidual UniversalInvertedResidual MobileAttention "
    "ConvBnAct CondConvResidual".split()
}
_SHORTCUT = {name: given("shortcut") for name in "BasicBlock BottleneckBlock DarkBlock EdgeBlock SelfAttnBlock".split()}
_ADDS = {
    "_efficientnet_blocks": _HAS_SKIP,
    "beit": {"Block": 2},
    "byobnet": {**_SHORTCUT, "RepVggBlock": lambda block: 1 + int(block.identity is not None), "MobileVitBlock": 1},
    "byoanet": {},
    "cait": {"LayerScaleBlock": 2, "LayerScaleBlockClassAttn": 2},
    "coat": {"SerialBlock": 3, "ParallelBlock": 9},
    "convit": {"Block": 2},
    "convmixer": {"Residual": 1},
    "convnext": {"ConvNeXtBlock": 1},
    "cpubone": {"ResidualBlock": given("shortcut")},
    "crossvit": {"Block": 2, "CrossAttentionBlock": 1},
    "cspnet": {"BottleneckBlock": 1, "DarkBlock": 1, "EdgeBlock": 1},
    "davit": {"SpatialBlock": 2, "ChannelBlock": 2, "ConvPosEnc": 1},
    "deepseek_vit": {"DeepseekVitBlock": 2},
    "deit": {},
    "densenet": {"DenseLayer": 1},
    "dla": {"DlaBasic": 1, "DlaBottleneck": 1, "DlaBottle2neck": 1, "DlaRoot": 1},
    "dpn": {"DualPathBlock": 1},
    "edgenext": {"ConvBlock": 1, "SplitTransposeBlock": 2},
    "efficientformer": {"MetaBlock1d": 2, "MetaBlock2d": 2},
    "efficientnet": {},
    "efficientvim": {"EfficientViMBlock": 4, "PatchMerging": 2},
    "efficientvit_mit": {"ResidualBlock": given("shortcut"), "LiteMLA": 1},
    "efficientvit_msra": {"ResidualDrop": 1},
    "eva": {"EvaBlock": 2, "EvaBlockPostNorm": 2},
    "fasternet": {"MLPBlock": 1},
    "focalnet": {"FocalNetBlock": 2},
    "gcvit": {"MbConvBlock": 1, "GlobalContextVitBlock": 2},
    "gemma4_vit": {"Gemma4Block": 2},
    "ghostnet": {"GhostBottleneck": 1, "GhostModule": 1, "GhostModuleV2": 1},
    "hardcorenas": {},
    "hgnet": {"HighPerfGpuBlock": lambda block: 1 + int(block.residual), "StemV2": 1},
    "hiera": {"HieraBlock": 2},
    "hieradet_sam2": {"MultiScaleBlock": 2},
    "hrnet": {},
    "iformer": {"Residual": 1},
    "inception_next": {"MetaNeXtBlock": 1},
    "inception_resnet_v2": {"Block35": 1, "Block17": 1, "Block8": 1},
    "inception_v3": {},
    "inception_v4": {},
    "levit": {"LevitBlock": 2, "LevitDownsample": 1},
    "lowformer": {"ResidualBlock": given("shortcut")},
    "mambaout": {"GatedConvBlock": 1},
    "maxxvit": {"MbConvBlock": 1, "ConvNeXtBlock": 1, "TransformerBlock2d": 2, "PartitionAttentionCl": 2},
    "metaformer": {"MetaFormerBlock": 2},
    "mlp_mixer": {"SpatialGatingBlock": 1, "MixerBlock": 2, "ResBlock": 2},
    "mobilenetv3": {},
    "mobilenetv5": {"MobileNetV5MultiScaleFusionAdapter": 1},
    "mobilevit": {"MobileVitBlock": 1, "LinearTransformerBlock": 2},
    "mvitv2": {"MultiScaleBlock": 2, "MultiScaleAttention": flag("residual_pooling")},
    "naflexvit": {},
    "nest": {"TransformerLayer": 2},
    "nextvit": {"NextConvBlock": 2, "NextTransformerBlock": 4},
    "nfnet": {"NormFreeBlock": 1},
    "pit": {},
    "pvt_v2": {"Block": 2},
    "qwen3_vit": {},
    "rdnet": {"DenseBlock": 1},
    "regnet": {"Bottleneck": 1, "PreBottleneck": 1},
    "repghost": {"RepGhostBottleneck": 1, "RepGhostModule": 1},
    "repvit": {"RepVggDw": 1, "RepViTBlock": 1, "RepVitDownsample": 1},
    "res2net": {"Bottle2neck": 1},
    "resnest": {"ResNestBottleneck": 1},
    "resnet": {"BasicBlock": 1, "Bottleneck": 1},
    "resnetv2": {"PreActBasic": 1, "PreActBottleneck": 1, "Bottleneck": 1},
    "rexnet": {"LinearBottleneck": flag("use_shortcut")},
    "selecsls": {"SelecSlsBlock": 1},
    "senet": {"SEBottleneck": 1, "SEResNetBottleneck": 1, "SEResNeXtBottleneck": 1, "SEResNetBlock": 1},
    "sequencer": {"Sequencer2dBlock": 2},
    "shvit": {"Residual": 1},
    "sknet": {"SelectiveKernelBasic": 1, "SelectiveKernelBottleneck": 1},
    "starnet": {"Block": 1},
    "swiftformer": {"ConvEncoder": 1, "Block": 2, "LocalRepresentation": 1, "EfficientAdditiveAttention": 1},
    "swin_transformer": {"SwinTransformerBlock": 2},
    "swin_transformer_v2": {"SwinTransformerV2Block": 2},
    "swin_transformer_v2_cr": {"SwinTransformerV2CrBlock": 2},
    "tiny_vit": {"MBConv": 1, "TinyVitBlock": 2},
    "tnt": {"Block": 4},
    "tresnet": {"BasicBlock": 1, "Bottleneck": 1},
    "twins": {"Block": 2, "PosConv": 1},
    "vgg": {},
    "vision_transformer": {"Block": 2, "ResPostBlock": 2},
    "vision_transformer_hybrid": {},
    "vision_transformer_relpos": {"RelPosBlock": 2, "ResPostRelPosBlock": 2},
    "vision_transformer_sam": {"Block": 2},
    "visformer": {"Block": lambda block: 1 + int(block.attn is not None)},
    "vitamin": {"MbConvLNBlock": 1},
    "volo": {"Outlooker": 2, "Transformer": 2, "ClassBlock": 2},
    "vovnet": {"OsaBlock": lambda block: 1 + int(block.residual)},
    "xception": {"Block": 1},
    "xception_aligned": {
        "XceptionModule": lambda block: int(not block.no_skip),
        "PreXceptionModule": lambda block: int(not block.no_skip),
    },
    "xcit": {"XCABlock": 3, "ClassAttentionBlock": 2},
}
# The layers that the families share.
_LAYERS = {"global_context": {"GlobalContext": given("mlp_add")}}

_DIFFERS = {
    "tnt_s_patch16_224": "the first block adds the pixel stream, through one linear layer, to patches that were "
    "themselves made from the pixels: a projection by its form, an injection by the authors' words",
}
FAMILY = Family("timm", tuple(map(_network, TIMM)), {**_ADDS, **_LAYERS}, _DIFFERS)
