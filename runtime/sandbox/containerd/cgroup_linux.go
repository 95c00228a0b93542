package containerd

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"
)

const (
	cgroupRoot       = "/sys/fs/cgroup"
	cgroupMemoryRoot = "/sys/fs/cgroup/memory" // version 1, also on hybrid hosts
)

// countsSwap says whether a limit on swap can be set: under version 1 only where the kernel accounts for it.
func countsSwap() bool {
	if cgroups.Mode() == cgroups.Unified {
		return true
	}
	_, err := os.Stat(filepath.Join(cgroupMemoryRoot, "memory.memsw.limit_in_bytes"))
	return err == nil
}

// outOfMemory says whether the kernel killed a process of the Instance for its memory limit. The counter lives as long as the
// task: `oom_kill` of memory.oom_control (cgroup-v1/memory) or of memory.events (cgroup-v2).
func outOfMemory(id string) bool {
	path := filepath.Join(cgroupMemoryRoot, cgroupParent, id, "memory.oom_control")
	if cgroups.Mode() == cgroups.Unified {
		path = filepath.Join(cgroupRoot, cgroupParent, id, "memory.events")
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if value, ok := strings.CutPrefix(scanner.Text(), "oom_kill "); ok {
			kills, err := strconv.ParseUint(value, 10, 64)
			return err == nil && kills > 0
		}
	}
	return false
}

// removeCgroup removes a container's cgroup from every hierarchy that has it, with those below it. It fails where processes
// are left in one.
func removeCgroup(id string) error {
	hierarchies, err := filepath.Glob(filepath.Join(cgroupRoot, "*", cgroupParent)) // version 1, and hybrid
	if err != nil {
		return err
	}
	var errs []error
	for _, parent := range append(hierarchies, filepath.Join(cgroupRoot, cgroupParent)) {
		errs = append(errs, removeCgroups(filepath.Join(parent, id)))
	}
	return errors.Join(errs...)
}

// removeCgroups removes a folder of cgroups from its leaves up; the files in it are the kernel's and go with their folder.
func removeCgroups(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeCgroups(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	return nil
}
