#!/bin/bash
# Ends the cluster that `slurm_up.sh DIR` started, and what runs in it. Its files stay.
set -u
folder=$(realpath -m "${1:?usage: slurm_down.sh DIR}")
export SLURM_CONF=$folder/slurm.conf
if [ -e "$folder/slurmctld.pid" ] && command -v scancel > /dev/null; then
    timeout 10 scancel --quiet --partition=test 2> /dev/null
fi
for name in slurmd slurmctld munge; do
    pid=$(cat "$folder/$name.pid" 2> /dev/null) || continue
    kill "$pid" 2> /dev/null
    for _ in $(seq 50); do
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.1
    done
done
exit 0
