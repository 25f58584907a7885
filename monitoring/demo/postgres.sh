# Read by the entry point of the postgres image when it makes the database (docker-compose.demo.yml).
# shellcheck shell=sh
password="$(cat "$POSTGRES_PASSWORD_FILE")"
psql -q -v ON_ERROR_STOP=1 -U postgres <<SQL
CREATE ROLE shop LOGIN PASSWORD '$password';
CREATE ROLE topmast LOGIN CONNECTION LIMIT 3 PASSWORD '$password';
GRANT pg_monitor TO topmast;
CREATE DATABASE shop OWNER shop;
\connect shop
CREATE EXTENSION pg_stat_statements;
SQL
