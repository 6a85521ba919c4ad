"""HTTP: requests, responses, URLs and the transport."""
