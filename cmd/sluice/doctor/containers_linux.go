package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
)

const containerdTimeout = 5 * time.Second

func checkContainerd(ctx context.Context, host Host) Finding {
	const start = "apt-get install -y containerd runc && systemctl enable --now containerd"
	if !host.Containers {
		return ok("not needed: functions run as plain processes")
	}
	_, err := os.Stat(host.ContainerdAddress)
	if errors.Is(err, fs.ErrPermission) {
		return missing(err.Error(), "run as root")
	}
	if err != nil {
		return missing(err.Error(), start+"   # or name its socket with containerd_address")
	}
	ctx, cancel := context.WithTimeout(ctx, containerdTimeout)
	defer cancel()
	containers, err := client.New(host.ContainerdAddress, client.WithTimeout(containerdTimeout))
	if err != nil {
		return missing(host.ContainerdAddress+" does not answer: "+err.Error(), "systemctl restart containerd")
	}
	defer containers.Close()
	version, err := containers.Version(ctx)
	if err != nil {
		return missing(host.ContainerdAddress+" does not answer: "+err.Error(), "systemctl restart containerd")
	}
	return ok("containerd " + version.Version)
}

func checkRunc(_ context.Context, host Host) Finding {
	if !host.Containers {
		return ok("not needed: functions run as plain processes")
	}
	for _, program := range []string{"runc", "containerd-shim-runc-v2"} {
		if _, err := exec.LookPath(program); err != nil {
			return missing("no "+program+" in the PATH", "apt-get install -y containerd runc")
		}
	}
	return ok("runc and containerd's shim for it are there")
}

func checkOverlayfs(_ context.Context, host Host) Finding {
	if !host.Containers {
		return ok("not needed: functions run as plain processes")
	}
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(filesystems), "\toverlay\n") {
		return warning("no overlayfs: each container copies its image", "modprobe overlay")
	}
	return ok("overlayfs is there")
}
