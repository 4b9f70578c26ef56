"""Files from strangers and bad input: tables of cases, and the check of what each is told."""
