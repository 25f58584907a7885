# Redis and PostgreSQL of the distribution, where their own images have them. Build from the folder into which the
# packages were unpacked.
ARG BASE
FROM ${BASE}
COPY lib/ /lib/
COPY usr/ /usr/
COPY postgres.sh /postgres.sh
RUN echo "postgres:x:999:999::/var/lib/postgresql:/bin/sh" >> /etc/passwd \
    && install -d -o 999 -g 999 -m 0700 /var/lib/postgresql/data && install -d -o 999 -g 999 /var/run/postgresql /data
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8
