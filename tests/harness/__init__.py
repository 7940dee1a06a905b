"""What several test modules need: certificates, servers, environments. Tests import it as `harness`."""
