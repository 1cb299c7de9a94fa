"""Settings: a YAML file and the environment become frozen models; every error names its place."""
