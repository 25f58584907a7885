#!/bin/sh
# The full stack in Docker, from one place: deploy | verify | stop | clean. Thin: the command line does the work.
#
# Exit codes are the command line's: 0 done, 3 nothing runs, 69 the machine lacks something, 73 the state folder
# cannot be used, 78 the configuration is refused; 64 for a wrong call of this script.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)

usage() {
    cat >&2 <<'TEXT'
usage: deploy-monitoring.sh deploy          start everything, return when it is healthy
       deploy-monitoring.sh verify          try everything from end to end; 1 when something fails, 3 when nothing runs
       deploy-monitoring.sh stop            stop everything; what was recorded stays
       deploy-monitoring.sh clean --yes     stop everything and delete what was recorded, the secrets included
TEXT
    exit 64
}

[ $# -ge 1 ] || usage
action=$1
shift
case $action in
    deploy)
        [ $# -eq 0 ] || usage
        exec "$here/topmast" up --mode compose --detach
        ;;
    verify)
        [ $# -eq 0 ] || usage
        exec "$here/topmast" verify
        ;;
    stop)
        [ $# -eq 0 ] || usage
        exec "$here/topmast" down
        ;;
    clean)
        if [ "${1:-}" != --yes ] || [ $# -ne 1 ]; then
            echo "deploy-monitoring.sh: clean deletes metrics, logs, dashboards and secrets; say --yes" >&2
            exit 64
        fi
        exec "$here/topmast" down --purge
        ;;
    *) usage ;;
esac
