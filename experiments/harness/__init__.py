"""What the experiments share: command line, workdir, ledger, tables, provenance, drawing."""
