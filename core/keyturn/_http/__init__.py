"""What goes over the wire: requests, responses, URLs and the transport."""
