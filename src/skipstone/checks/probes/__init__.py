"""Rules that ask the run: one file each, made as those of the record are. Silent where the network was not run."""
