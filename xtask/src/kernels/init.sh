#!/bin/busybox sh
# Process 1 of the guest: the host's file tree, with what is changed in it kept in memory.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module" || echo "no module $module"; done < /order
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
$b mount -t tmpfs memory /memory
$b mkdir /memory/changes /memory/work
$b mount -t overlay -o lowerdir=/host,upperdir=/memory/changes,workdir=/memory/work whole /whole
for dir in proc sys dev; do $b mount --move "/$dir" "/whole/$dir"; done
$b mount -t tmpfs run /whole/run
$b cp /job /whole/run/job
exec $b switch_root /whole /bin/sh /run/job
