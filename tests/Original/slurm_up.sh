#!/bin/bash
# A Slurm cluster of this machine alone, for tests. `slurm_up.sh DIR` starts it, keeps all of its files in DIR, and prints the
# SLURM_CONF to use:
#
#     export SLURM_CONF=$(tests/Original/slurm_up.sh DIR); srun -n 2 hostname; tests/Original/slurm_down.sh DIR
#
# Needs root, and Debian's slurm-wlm and munge. There are no control groups, and no accounting.
set -euo pipefail
folder=$(realpath -m "${1:?usage: slurm_up.sh DIR}")
here=$(dirname "$(realpath "$0")")
export SLURM_CONF=$folder/slurm.conf

for program in munged slurmctld slurmd sinfo; do
    command -v "$program" > /dev/null || { echo "slurm_up.sh: no $program here: apt-get install -y slurm-wlm munge" >&2; exit 1; }
done
if [ -e "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
    echo "slurm_up.sh: $folder is not empty" >&2
    exit 1
fi
mkdir -p "$folder"/{state,spool,log,munge}
trap '"$here/slurm_down.sh" "$folder"; tail -n 5 "$folder"/log/* >&2' ERR

# A munge of its own, which no other on this machine has to do with. It wants folders that nobody else may write.
head -c 1024 /dev/urandom > "$folder/munge/key"
chmod 700 "$folder/munge" && chmod 600 "$folder/munge/key"
munged --force --socket="$folder/munge/socket" --key-file="$folder/munge/key" --pid-file="$folder/munge.pid" \
    --seed-file="$folder/munge/seed" --log-file="$folder/log/munge" 2> "$folder/log/munge.start"

read -r controller daemon < <(python3 - <<'PORTS'
import socket
found = [socket.socket() for _ in range(2)]
for one in found:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in found))
PORTS
)
host=$(hostname -s)
cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$daemon
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
slurmctld -f "$SLURM_CONF" > /dev/null
slurmd -f "$SLURM_CONF" > /dev/null
for _ in $(seq 100); do
    if [ "$(sinfo --noheader --format=%T 2> /dev/null)" = idle ]; then
        echo "$SLURM_CONF"
        exit 0
    fi
    sleep 0.2
done
echo "slurm_up.sh: the node is not idle after 20 seconds" >&2
false
