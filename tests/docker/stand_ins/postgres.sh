#!/bin/sh
# Does what docker-compose.demo.yml asks of the entry point of the postgres image: make the database once, as the user
# that it runs as, with the password of the file; run what lies in /docker-entrypoint-initdb.d while only the socket
# answers; then start the server.
set -eu
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
    initdb -D "$data" -U postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 >&2
    echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
    shift
    pg_ctl -D "$data" -w -o "-c listen_addresses='' -c shared_preload_libraries=pg_stat_statements" start >&2
    for script in /docker-entrypoint-initdb.d/*.sh; do
        # shellcheck source=/dev/null
        . "$script"
    done
    pg_ctl -D "$data" -w -m fast stop >&2
else
    shift
fi
exec postgres -D "$data" -c listen_addresses='*' "$@"
