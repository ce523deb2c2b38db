#!/bin/bash
# Tests training on three hosts, which are network namespaces on a bridge: addresses and names of hosts, a bad network,
# a host that the network loses, and a slow one.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"
switch=trainer-$$-switch
hosts=(trainer-$$-{0..2})
remove_hosts() {
  local host
  for host in "${hosts[@]}" "$switch"; do
    ip netns pids "$host" 2>/dev/null | xargs -r kill -KILL
    ip netns del "$host" 2>/dev/null
  done
}
trap 'remove_hosts; rm -rf "$work"' EXIT
skip() { echo "SKIPPED: $1"; finish; exit; }
[ -n "$(type -P ip)" ] || skip "there is no program ip (Debian: iproute2)"
{ ip netns add "$switch" && ip -n "$switch" link add bridge type bridge && unshare --uts true; } 2>/dev/null ||
  skip "this user may not make network namespaces"
source "$source_folder/tests/system/ranks.bash"

# Host R has the name node-R and the address 10.9.8.(R + 1).
ip -n "$switch" link set bridge up
for rank in 0 1 2; do
  host=${hosts[rank]}
  ip netns add "$host"
  ip link add eth0 netns "$host" type veth peer name "port$rank" netns "$switch"
  ip -n "$host" addr add 10.9.8.$((rank + 1))/24 dev eth0
  ip -n "$host" link set lo up
  ip -n "$host" link set eth0 up
  ip -n "$switch" link set "port$rank" master bridge up
done
# The words that run a command on host R, as the same process.
on() { there=(ip netns exec "${hosts[$1]}" unshare --uts sh -c 'hostname "$0" && exec "$@"' "node-$1"); }
# start FOLDER [WORD...]: starts a process on each host of `places`; sets pids. The output of rank R is in FOLDER/out.R,
# and the snapshots are there.
places=(0 1 2)
start() {
  local folder=$1 rank
  shift
  mkdir -p "$folder"
  pids=()
  for rank in 0 1 2; do
    on "${places[rank]}"
    RANK=$rank WORLD_SIZE=3 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 "${there[@]}" setsid "$trainer" train \
      --solver=solver.prototxt --set "snapshot_prefix='$folder/w'" "$@" >"$folder/out.$rank" 2>&1 </dev/null &
    pids+=($!)
  done
}
last_lines() { tail -n 3 "$1"/out.* | cut -c 1-300; }
# equal FOLDER: three hosts train what one process does.
equal() {
  start "$1"
  await
  check "on_${1}_hosts_end_with_0" "$codes: $(last_lines "$1")" [ "$codes" = "0 0 0" ]
  check "on_${1}_hosts_train_what_one_does" "" close "$1/w_iter_12.caffemodel" one_iter_12.caffemodel
}
# The weights are large enough for a slow network to matter.
sed -i 's/num_output: 4/num_output: 64/' net.prototxt
sed -i 's/max_iter: 24/max_iter: 12/' solver.prototxt
"$trainer" train --solver=solver.prototxt --run_dir= --set iter_size=3 --set snapshot_prefix=one >log 2>&1 || cat log

# Rank 0 is found by its address, or by the file beside the snapshots.
MASTER_ADDR=10.9.8.1 MASTER_PORT=29400 TRAINER_TOKEN=secret equal known
check hosts_are_named "$(last_lines known)" has_line known/out.0 \
  '3 processes train together: 1 on node-0, 1 on node-1, 1 on node-2'
equal unknown
on 0
RANK=0 WORLD_SIZE=2 "${there[@]}" "$trainer" train --solver=solver.prototxt --set max_iter=5 >other 2>&1 &
on 2
RANK=1 WORLD_SIZE=2 "${there[@]}" "$trainer" train --solver=solver.prototxt --set max_iter=6 >another 2>&1
wait
check a_difference_is_named_by_host "$(cat another)" has_line another \
  'rank 1 on node-2 differs from that of rank 0 on node-0'

# Losses, a narrow network, and a long way to host 2.
everywhere() { for host in "${hosts[@]}"; do ip netns exec "$host" "$@"; done; }
if [ -n "$(type -P nft)" ]; then
  everywhere nft 'add table ip lossy
    add chain ip lossy input { type filter hook input priority 0; }
    add rule ip lossy input iif eth0 numgen random mod 100 < 1 counter drop'
  equal lossy
  dropped=$(everywhere nft list table ip lossy |
    sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }')
  check packets_are_dropped "$dropped" [ "$dropped" -gt 0 ]
  everywhere nft delete table ip lossy
else
  echo "SKIPPED losses: there is no program nft (Debian: nftables)"
fi
everywhere tc qdisc add dev eth0 root tbf rate 100mbit burst 16kb latency 50ms
equal narrow
over=$(tc -n "${hosts[0]}" -s qdisc show dev eth0 | sed -n 's/.*overlimits \([0-9]*\).*/\1/p')
check packets_wait "$over" [ "$over" -gt 0 ]
everywhere tc qdisc del dev eth0 root
if [ -w /dev/net/tun ] && perl -MTime::HiRes -e '' 2>/dev/null; then
  # Passes what the interfaces near and far get to each other, 20 ms later.
  ip netns exec "$switch" perl -MTime::HiRes=time -e '
    my (@ends, @passing);
    for my $name ("near", "far") {
      open my $end, "+<", "/dev/net/tun" or die;
      ioctl $end, 0x400454ca, pack("a16 s x22", $name, 0x1002) or die;  # TUNSETIFF, IFF_TAP | IFF_NO_PI
      push @ends, $end;
    }
    while (1) {
      my ($ready, $wait) = ("", @passing ? $passing[0][0] - time : undef);
      vec($ready, fileno $_, 1) = 1 for @ends;
      select $ready, undef, undef, defined $wait && $wait < 0 ? 0 : $wait;
      for my $i (0, 1) {
        next unless vec $ready, fileno $ends[$i], 1;
        sysread $ends[$i], my $frame, 65536;
        push @passing, [time + 0.02, $ends[1 - $i], $frame];
      }
      while (@passing && $passing[0][0] <= time) {
        my $due = shift @passing;
        syswrite $due->[1], $due->[2];
      }
    }' >relay 2>&1 &
  relay=$!
  wait_for 5 ip -n "$switch" link show far >log 2>&1
  ip -n "$switch" link set near master bridge up
  ip -n "$switch" link set far netns "${hosts[2]}"
  ip -n "${hosts[2]}" addr del 10.9.8.3/24 dev eth0
  ip -n "${hosts[2]}" addr add 10.9.8.3/24 dev far
  ip -n "${hosts[2]}" link set far up
  equal distant
  passed_on=$(ip netns exec "${hosts[2]}" cat /sys/class/net/far/statistics/tx_packets)
  check packets_take_the_long_way "$passed_on $(cat relay)" [ "$passed_on" -gt 100 ]
  kill $relay
  wait $relay 2>/dev/null
  ip -n "${hosts[2]}" addr add 10.9.8.3/24 dev eth0
else
  echo "SKIPPED delay: this user may not make network interfaces, or there is no perl"
fi

# The network loses host 1: the hosts with rank 0 end with a snapshot, or continue. Host 1 does not continue alone.
long() {
  local folder=$1
  shift
  start "$folder" --set max_iter=1000000000 --set snapshot=0 --set test_interval=1000 --set display=20 "$@"
  wait_for 20 has_line "$folder/out.0" 'Iteration 20 '
}
long plain
plain=("${pids[@]}")
TRAINER_MEETING_SECONDS=15 long elastic --elastic=1
elastic=("${pids[@]}")
ip -n "$switch" link set port1 down
silent='is lost: nothing was heard from it for 10 s'
noticed() {
  has_line plain/out.0 "rank 1 on node-1 $silent" && has_line plain/out.2 "rank 1 on node-1 $silent" &&
    has_line plain/out.1 "rank 0 on node-0 $silent"
}
check a_partition_is_noticed_on_both_sides "$(last_lines plain)" wait_for 15 noticed
pids=("${plain[@]}")
await
check a_partition_ends_with_7 "$codes: $(last_lines plain)" [ "$codes" = "7 7 7" ]
check a_partition_leaves_a_snapshot "$(last_lines plain)" has_line plain/out.0 \
  'resume with --snapshot=plain/w_iter_[0-9]*.solverstate'
check elastic_goes_on_after_a_partition "$(last_lines elastic)" wait_for 20 has_line elastic/out.0 \
  'The training continues from iteration'
check elastic_goes_on_with_the_majority "$(last_lines elastic)" has_line elastic/out.0 \
  '2 processes train together: 1 on node-0, 1 on node-2'
wait "${elastic[1]}"
code=$?
check a_minority_ends_with_7 "$code: $(last_lines elastic)" [ $code = 7 ]
check a_minority_does_not_go_on "$(last_lines elastic)" has_line elastic/out.1 \
  'and they did not readmit it within 15 s'
check a_minority_does_not_end_the_meeting "$(ls elastic)" [ -e elastic/w.meeting ]
pids=("${elastic[0]}" "${elastic[2]}")
kill -TERM "${pids[0]}"
await
check the_majority_stops_together "$codes: $(last_lines elastic)" [ "$codes" = "143 143" ]
for state in plain/*.solverstate elastic/*.solverstate; do
  "$trainer" train --solver=solver.prototxt --snapshot="$state" --run_dir= --set snapshot_prefix=again \
    --set max_iter=$((${state//[^0-9]/} + 3)) >log 2>&1
  code=$?
  check "${state%/*}_snapshots_are_intact" "$state $code: $(tail -n 3 log)" [ $code = 0 ]
done
ip -n "$switch" link set port1 up

# The network loses host 0, where the meeting is, and finds it again: the host comes back at the next snapshot, although
# it cannot reach host 2 at first.
TRAINER_MEETING_SECONDS=15 long back --elastic=2 --set snapshot=400 --set keep_snapshots=2
ip -n "$switch" link set port0 down
check elastic_goes_on_without_the_first_host "$(last_lines back)" wait_for 60 has_line back/out.1 \
  '2 processes train together: 1 on node-1, 1 on node-2'
check the_first_host_does_not_go_on "$(last_lines back)" wait_for 60 has_line back/out.0 'Rank 0 is cut off'
ip -n "${hosts[0]}" route add unreachable 10.9.8.3/32
ip -n "$switch" link set port0 up
check the_first_host_cannot_connect "$(last_lines back)" wait_for 60 has_line back/out.0 'none of them is known to be lost'
ip -n "${hosts[0]}" route del unreachable 10.9.8.3/32
all_again() { [ "$(grep -c '3 processes train together: 1 on node-0, 1 on node-1, 1 on node-2' back/out.0)" = 2 ]; }
check the_first_host_comes_back "$(last_lines back)" wait_for 60 all_again
kill -TERM "${pids[2]}"
await
check all_hosts_stop_after_a_return "$codes: $(last_lines back)" [ "$codes" = "143 143 143" ]

# The network loses host 0 with ranks 0 and 1. Only rank 0, where the meeting is, knows of rank 1.
places=(0 0 1)
long pair
ip -n "$switch" link set port0 down
await
check a_lost_pair_ends_with_7 "$codes: $(last_lines pair)" [ "$codes" = "7 7 7" ]
for rank in 0 2; do
  check "both_sides_leave_a_snapshot_$rank" "$(last_lines pair)" has_line pair/out.$rank 'resume with --snapshot=pair/w_iter'
done
check the_second_of_a_pair_leaves_none "$(last_lines pair)" has_line pair/out.1 'ends at iteration [0-9]*$'
state=$(ls pair/*.solverstate | sort -t _ -k 3 -n | tail -n 1)
"$trainer" train --solver=solver.prototxt --snapshot="$state" --run_dir= --set snapshot_prefix=again \
  --set max_iter=$((${state//[^0-9]/} + 3)) >log 2>&1
code=$?
check pair_snapshots_are_intact "$state $code: $(tail -n 3 log)" [ $code = 0 ]
ip -n "$switch" link set port0 up
places=(0 1 2)

# A host that runs only a part of the time.
long slow --set iter_size=40
slow() {
  trap 'kill -CONT "$1"; exit' TERM
  while kill -STOP "$1" && sleep 0.15 && kill -CONT "$1"; do sleep 0.05; done
}
slow "${pids[1]}" &
rhythm=$!
check a_slow_host_is_named "$(last_lines slow)" wait_for 20 has_line slow/out.0 \
  'rank 1 on node-1 is slow: its passes take'
kill $rhythm
wait $rhythm
kill -TERM "${pids[2]}"
await
check a_slow_host_stops_too "$codes: $(last_lines slow)" [ "$codes" = "143 143 143" ]
finish
