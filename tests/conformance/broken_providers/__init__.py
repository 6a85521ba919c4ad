"""Providers that each have one defect, by kind; each can obtain a token."""
