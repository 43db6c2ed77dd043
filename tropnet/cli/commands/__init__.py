"""The commands of the command line, a file each; `tropnet.cli.program` lists them."""
