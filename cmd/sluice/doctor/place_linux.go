package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// socketPathMax is the room for a Unix socket's path and its final zero (unix(7)).
	socketPathMax = 108
	// These lie deepest below the state folder. A plain process binds its function's socket by its path there, and an
	// instance's id has up to 63 bytes; a container has a short path of its own.
	longestSocket        = "workers/12345678/control.sock"
	longestProcessSocket = "functions/123456789012345678901234567890123456789012345678901234567890123/function.sock"

	diskFreeMin  = 1 << 30 // bytes; images, logs and compiled kernels need more than that
	diskFreeGood = 5 << 30

	filesGood = 65_536
)

func checkSockets(_ context.Context, host Host) Finding {
	deepest := longestSocket
	if !host.Containers {
		deepest = longestProcessSocket
	}
	longest := len(filepath.Join(host.StateFolder, deepest)) + 1
	if longest > socketPathMax {
		return missing(fmt.Sprintf("below %s a socket's path has up to %d bytes, Linux allows %d", host.StateFolder, longest, socketPathMax),
			"use a shorter state folder, such as /var/lib/sluice")
	}
	return ok(fmt.Sprintf("the longest path of a socket has %d of %d bytes", longest, socketPathMax))
}

// checkDisk looks at the state folder, or at where it will be made.
func checkDisk(_ context.Context, host Host) Finding {
	folder := host.StateFolder
	for {
		_, err := os.Stat(folder)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || folder == filepath.Dir(folder) {
			return missing(err.Error(), "use another state folder")
		}
		folder = filepath.Dir(folder)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return missing(err.Error(), "use another state folder")
	}
	free := stat.Bavail * uint64(stat.Bsize)
	detail := fmt.Sprintf("%.1f GiB are free at %s", float64(free)/(1<<30), folder)
	switch {
	case unix.Access(folder, unix.W_OK) != nil:
		return missing(folder+" cannot be written", "run as root, or use another state folder")
	case free < diskFreeMin:
		return missing(detail, "free some disk space: remove images with `ctr -n sluice images rm`, and old logs")
	case free < diskFreeGood:
		return warning(detail, "free some disk space: remove images with `ctr -n sluice images rm`, and old logs")
	}
	return ok(detail)
}

func checkFiles(context.Context, Host) Finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return warning(err.Error(), "")
	}
	if limit.Max < filesGood {
		return warning(fmt.Sprintf("a process may open %d files: many clients need more", limit.Max), "LimitNOFILE=1048576 in the unit, or ulimit -n 1048576")
	}
	return ok(fmt.Sprintf("a process may open %d files", limit.Max))
}

// checkAddresses tries to listen, where no daemon does already.
func checkAddresses(_ context.Context, host Host) Finding {
	if host.Running {
		return ok("a daemon is serving")
	}
	for _, address := range host.Addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return missing(err.Error(), "set listen and metrics_listen to free addresses; `ss -ltnp` shows who has these")
		}
		listener.Close()
	}
	return ok(strings.Join(host.Addresses, ", ") + " are free")
}
