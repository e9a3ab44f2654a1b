"""The dashboards as code: `python -m monitoring.grafana.generate` writes what Grafana is given."""
