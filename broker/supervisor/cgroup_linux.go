package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// OverheadBytes is what a worker may use beside its Slice: the driver, its compiler (PoCL's LLVM), and the Sessions'
// shared memory.
const OverheadBytes = 512 << 20

// TasksMax bounds a worker's threads and processes.
const TasksMax = 4096

// unifiedMount is where cgroup v2 is mounted on a host that has only that.
const unifiedMount = "/sys/fs/cgroup"

// cgroup holds one worker. On a v1 or hybrid host it lies below the daemon's own; on a v2 host below the root, because
// there a group that holds processes cannot have children with limits.
type cgroup struct {
	v1 cgroup1.Cgroup
	v2 *cgroup2.Manager
}

// cgroupName names a worker's group by the daemon's folder too, so that several daemons do not meet.
func cgroupName(folder, id string) string {
	sum := sha256.Sum256([]byte(folder))
	return "/sluice-" + hex.EncodeToString(sum[:4]) + "-" + id
}

func memoryHierarchy() ([]cgroup1.Subsystem, error) {
	all, err := cgroup1.Default()
	if err != nil {
		return nil, fmt.Errorf("finding the cgroups' hierarchies: %w", err)
	}
	var wanted []cgroup1.Subsystem
	for _, s := range all {
		if s.Name() == cgroup1.Memory || s.Name() == cgroup1.Pids {
			wanted = append(wanted, s)
		}
	}
	if len(wanted) != 2 {
		return nil, errors.New("this host has no memory or no pids cgroup")
	}
	return wanted, nil
}

// newCgroup makes a group with a limit of memory in bytes.
func newCgroup(name string, memoryBytes uint64) (*cgroup, error) {
	limit, tasks := int64(memoryBytes), int64(TasksMax)
	if cgroups.Mode() == cgroups.Unified {
		group, err := cgroup2.NewManager(unifiedMount, name, &cgroup2.Resources{
			Memory: &cgroup2.Memory{Max: &limit}, Pids: &cgroup2.Pids{Max: tasks},
		})
		if err != nil {
			return nil, fmt.Errorf("making cgroup %s: %w", name, err)
		}
		return &cgroup{v2: group}, nil
	}
	group, err := cgroup1.New(cgroup1.NestedPath(name), &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit}, Pids: &specs.LinuxPids{Limit: &tasks},
	}, cgroup1.WithHierarchy(memoryHierarchy))
	if err != nil {
		return nil, fmt.Errorf("making cgroup %s: %w", name, err)
	}
	return &cgroup{v1: group}, nil
}

// loadCgroup finds the group of an earlier daemon's worker; nil when there is none.
func loadCgroup(name string) (*cgroup, error) {
	if cgroups.Mode() == cgroups.Unified {
		group, err := cgroup2.Load(name)
		if err != nil {
			return nil, fmt.Errorf("loading cgroup %s: %w", name, err)
		}
		return &cgroup{v2: group}, nil
	}
	group, err := cgroup1.Load(cgroup1.NestedPath(name), cgroup1.WithHierarchy(memoryHierarchy))
	if errors.Is(err, cgroup1.ErrCgroupDeleted) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading cgroup %s: %w", name, err)
	}
	return &cgroup{v1: group}, nil
}

func (c *cgroup) add(pid int) error {
	if c.v2 != nil {
		return c.v2.AddProc(uint64(pid))
	}
	return c.v1.AddProc(uint64(pid))
}

func (c *cgroup) limitMemory(bytes uint64) error {
	limit := int64(bytes)
	if c.v2 != nil {
		return c.v2.Update(&cgroup2.Resources{Memory: &cgroup2.Memory{Max: &limit}})
	}
	return c.v1.Update(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})
}

// outOfMemory tells whether the kernel has killed a process of the group for its limit.
func (c *cgroup) outOfMemory() bool {
	if c.v2 != nil {
		stat, err := c.v2.Stat()
		return err == nil && stat.GetMemoryEvents().GetOomKill() > 0
	}
	stat, err := c.v1.Stat(cgroup1.IgnoreNotExist)
	return err == nil && stat.GetMemoryOomControl().GetOomKill() > 0
}

// remove takes an empty group away.
func (c *cgroup) remove() error {
	if c.v2 != nil {
		return c.v2.Delete()
	}
	return c.v1.Delete()
}
