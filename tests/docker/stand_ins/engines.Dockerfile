# Prometheus, Alertmanager and node_exporter of the distribution, where their own images have them. Build from the
# folder into which the packages were unpacked.
ARG BASE
FROM ${BASE}
COPY usr/bin/prometheus /bin/prometheus
COPY usr/bin/promtool /bin/promtool
COPY usr/bin/prometheus-alertmanager /bin/alertmanager
COPY usr/bin/amtool /bin/amtool
COPY usr/bin/prometheus-node-exporter /bin/node_exporter
COPY usr/share/prometheus/alertmanager /usr/share/prometheus/alertmanager
RUN install -d -o 65534 -g 65534 /prometheus /alertmanager
