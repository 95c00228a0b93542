package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/broker/handover"
)

// Nobody is the user and group that a worker runs as where the daemon is root. Workers share it: their namespaces, not
// their user, keep them apart.
const Nobody = 65534

// WaitGate waits on standard input until the daemon has put this process where it belongs. It fails when the daemon dies
// before that: nobody would know of this process.
func WaitGate() error {
	said, err := io.ReadAll(io.LimitReader(os.Stdin, int64(len(handover.Gate)+1)))
	if err != nil {
		return fmt.Errorf("waiting at the gate: %w", err)
	}
	if string(said) != handover.Gate {
		return fmt.Errorf("waiting at the gate: the daemon said %q, not %q", said, handover.Gate)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("closing the gate: %w", err)
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), 0, 0); err != nil {
		return fmt.Errorf("closing the gate: %w", err)
	}
	return nil
}

// monitorSlack is by how many ns the kernel may be late to wake the threads of the program that Confine executes; they inherit it
// until they call dispatch.ExactTimers. What keeps it is the Go runtime's monitor, which looks every 20 us whether a
// thread is held up in a driver's call, as threads here always are. Without it the looks of a machine full of workers take a
// seventh of its processors.
const monitorSlack = 2_000_000

// Confine is a worker's first stage, in new mount, pid, ipc, net and uts namespaces. It enters the view, gives up every
// privilege for good, and executes this program again as handover.StageConfined in the given mode. It returns only with
// an error.
func Confine(mode string) error {
	// Capabilities belong to a thread; the one that executes the program decides.
	runtime.LockOSThread()
	if err := enterView(driverFolders()); err != nil {
		return fmt.Errorf("confining the worker: %w", err)
	}
	if err := unix.Sethostname([]byte("worker")); err != nil {
		return fmt.Errorf("confining the worker: naming its host: %w", err)
	}
	if err := dropPrivileges(); err != nil {
		return fmt.Errorf("confining the worker: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, monitorSlack, 0, 0, 0); err != nil {
		return fmt.Errorf("confining the worker: giving its timers slack: %w", err)
	}
	const self = "/proc/self/exe" // its path is not in the view
	err := unix.Exec(self, []string{os.Args[0], "-stage", handover.StageConfined, mode}, os.Environ())
	return fmt.Errorf("confining the worker: executing %s again (may user %d execute it?): %w", os.Args[0], Nobody, err)
}

// driverFolders are where the daemon's environment says that vendor files are, beside the usual place.
func driverFolders() []string {
	var folders []string
	for _, name := range []string{"OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"} {
		if path := os.Getenv(name); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/etc/OpenCL") {
			folders = append(folders, path)
		}
	}
	return folders
}

func dropPrivileges() error {
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) && capability > 0 {
			break // past the last that this kernel knows
		}
		if err != nil {
			return fmt.Errorf("dropping capability %d for good: %w", capability, err)
		}
	}
	// In a user namespace of an ordinary user there is no second user to change to: user 0 of it is that user outside.
	if nobodyExists() {
		if err := unix.Setgroups(nil); err != nil {
			return fmt.Errorf("leaving all groups: %w", err)
		}
		if err := unix.Setresgid(Nobody, Nobody, Nobody); err != nil {
			return fmt.Errorf("changing the group: %w", err)
		}
		if err := unix.Setresuid(Nobody, Nobody, Nobody); err != nil {
			return fmt.Errorf("changing the user: %w", err)
		}
	}
	none := [2]unix.CapUserData{}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbidding new privileges: %w", err)
	}
	return nil
}

// nobodyExists tells whether user Nobody is mapped in this user namespace, so that one can change to it.
func nobodyExists() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	var inside, outside, count uint64
	if _, err := fmt.Sscan(string(text), &inside, &outside, &count); err != nil {
		return false
	}
	return inside == 0 && count > Nobody
}
