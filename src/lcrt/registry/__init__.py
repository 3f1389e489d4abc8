"""Models fetched from registries and hubs, and given to registries."""
