package executor

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"sluice/scheduler"
)

// ThisNode gives this machine's name, processors and memory, all of it.
func ThisNode() (scheduler.Node, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return scheduler.Node{}, fmt.Errorf("ask for the machine's memory: %w", err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return scheduler.Node{}, fmt.Errorf("ask for the machine's name: %w", err)
	}
	return scheduler.Node{
		Name:        unix.ByteSliceToString(name.Nodename[:]),
		CPUMilli:    1000 * runtime.NumCPU(),
		MemoryBytes: info.Totalram * uint64(info.Unit),
	}, nil
}
