package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/containerd/cgroups/v3"
	"golang.org/x/sys/unix"
)

const upgradeKernel = "apt-get install -y linux-image-amd64 && reboot   # Linux 5.14 or later"

func checkUser(_ context.Context, host Host) Finding {
	switch {
	case os.Geteuid() == 0:
		return ok("root")
	case host.Containers:
		return missing("not root, which containers need", "run as root, or set sandbox: process, which isolates nothing")
	}
	return warning("not root: workers are confined in user namespaces where the host allows them, and nothing limits their memory", "run as root")
}

// checkKernel tries each feature that has no other way.
func checkKernel(context.Context, Host) Finding {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return missing(fmt.Sprintf("uname: %v", err), upgradeKernel)
	}
	release := unix.ByteSliceToString(name.Release[:])
	for _, feature := range []struct {
		name string
		try  func() error
	}{
		{"memfd_create with seals", trySealedMemory},
		{"MADV_POPULATE_WRITE", tryPopulate},
		{"mount_setattr", tryMountSetattr},
		{"pidfd_open", tryPidfd},
	} {
		if err := feature.try(); err != nil {
			return missing(fmt.Sprintf("Linux %s has no %s: %v", release, feature.name, err), upgradeKernel)
		}
	}
	return ok("Linux " + release)
}

func trySealedMemory() error {
	fd, err := unix.MemfdCreate("sluice-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	return err
}

func tryPopulate() error {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(page) }()
	return unix.Madvise(page, unix.MADV_POPULATE_WRITE)
}

// tryMountSetattr gives no attribute to a path that is not there: a kernel that has the call says so.
func tryMountSetattr() error {
	err := unix.MountSetattr(unix.AT_FDCWD, "/nonexistent", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if err == unix.ENOSYS {
		return err
	}
	return nil
}

func tryPidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// checkNamespaces reads what keeps a user from namespaces. Whether a worker really gets them, checkDevices finds out.
func checkNamespaces(context.Context, Host) Finding {
	if inMount() {
		return missing("the root directory is no mount point, as in a chroot: no worker and no container can have a root of its own",
			"mount --bind DIR DIR && mount --make-private DIR   # outside, before chroot DIR")
	}
	for _, s := range []struct{ path, closed string }{
		{"/proc/sys/user/max_pid_namespaces", "0"},
		{"/proc/sys/user/max_mnt_namespaces", "0"},
		{"/proc/sys/user/max_user_namespaces", "0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
	} {
		onlyUsers := strings.Contains(s.path, "user_namespaces") || strings.Contains(s.path, "unprivileged")
		value, err := os.ReadFile(s.path)
		if err != nil || strings.TrimSpace(string(value)) != s.closed || onlyUsers && os.Geteuid() == 0 {
			continue // a switch that the kernel lacks, that is open, or that does not bind root
		}
		setting := strings.ReplaceAll(strings.TrimPrefix(s.path, "/proc/sys/"), "/", ".")
		open := map[string]string{"0": "65536", "1": "0"}[s.closed]
		if strings.HasSuffix(setting, "userns_clone") {
			open = "1"
		}
		return missing(setting+" is "+s.closed, fmt.Sprintf("sysctl -w %s=%s   # and in /etc/sysctl.d, to last", setting, open))
	}
	return ok("allowed")
}

// inMount says whether the root directory lies inside a mount: pivot_root(2) refuses to change such a one.
func inMount() bool {
	var root unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, "/", 0, 0, &root)
	return err == nil && root.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && root.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0
}

// checkCgroups looks for what limits workers and containers.
func checkCgroups(context.Context, Host) Finding {
	const reboot = "boot Linux with cgroup_enable=memory, and with /sys/fs/cgroup mounted"
	switch cgroups.Mode() {
	case cgroups.Unified:
		controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		if err != nil {
			return missing(err.Error(), reboot)
		}
		for _, wanted := range []string{"memory", "pids", "cpu"} {
			if !strings.Contains(" "+strings.TrimSpace(string(controllers))+" ", " "+wanted+" ") {
				return missing("cgroup v2 has no controller "+wanted, reboot)
			}
		}
		return ok("v2 with memory, pids, cpu")
	case cgroups.Unavailable:
		return missing("no cgroup is mounted: nothing limits the memory of workers and functions", "mount -t cgroup2 none /sys/fs/cgroup")
	}
	for _, wanted := range []string{"memory", "pids", "cpu"} {
		if _, err := os.Stat("/sys/fs/cgroup/" + wanted); err != nil {
			return missing("cgroup v1 has no hierarchy "+wanted, reboot)
		}
	}
	return ok("v1 with memory, pids, cpu")
}

func checkSysfs(context.Context, Host) Finding {
	if _, err := os.Stat("/sys/devices/system/cpu"); err != nil {
		return missing("/sys does not show the machine, and drivers read it", "mount -t sysfs sysfs /sys")
	}
	return ok("/sys is mounted")
}
