"""The conformance kit: what every provider must do, as checks that say what to mend."""
