package sandbox

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DialSocket connects to the function's socket in its function folder, as Dial of an Instance without a Port. The folder is
// the function's to write: were its socket a link to another function's, or to the daemon's own, a plain connect would
// follow it with the daemon's rights.
func DialSocket(ctx context.Context, functionDir string) (net.Conn, error) {
	path := filepath.Join(functionDir, SocketName)
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", path, err)
	}
	defer unix.Close(fd)
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return nil, fmt.Errorf("dial %s: %w", path, err)
	}
	if status.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fmt.Errorf("dial %s: %w: it is no socket", path, unix.ENOTSOCK)
	}
	// The descriptor names what was just looked at, whatever the path leads to by now.
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
}
