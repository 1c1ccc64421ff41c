# Makes a machine of the file tree $1, with the terminal $2 as its console. Process 1 of new namespaces.
root=$1
mount --make-rprivate /
# pivot_root wants a mount point.
mount --rbind "$root" "$root"

mount -t proc proc "$root/proc"
# Kernel variables, modules and devices are the host's: nothing in here may change them.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
# As systemd mounts it on a real machine, but not in what it takes for a container.
mount -t bpf -o mode=700 bpf "$root/sys/fs/bpf"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
: > "$root/dev/console"
mount --bind "$2" "$root/dev/console"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

cd "$root"
pivot_root . mnt
umount -l /mnt
exec setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-sys_boot,-mknod \
    env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --show-status=1 < /dev/console > /dev/console 2>&1
