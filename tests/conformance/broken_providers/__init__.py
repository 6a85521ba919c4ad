"""Providers that each have one defect, by kind; each obtains a token before the defect shows."""
