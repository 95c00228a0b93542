package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// unifiedHierarchy is the only key of cgroupPaths on a v2 host.
const unifiedHierarchy = "unified"

// cgroupPaths says where a group lies, by hierarchy. The next daemon may lie in another group, so they are recorded.
type cgroupPaths map[string]string

// newCgroupPaths says where this daemon's group of a name goes.
func newCgroupPaths(name string) (cgroupPaths, error) {
	if cgroups.Mode() == cgroups.Unified {
		return cgroupPaths{unifiedHierarchy: name}, nil
	}
	paths, nested := cgroupPaths{}, cgroup1.NestedPath(name)
	for _, hierarchy := range []cgroup1.Name{cgroup1.Memory, cgroup1.Pids} {
		path, err := nested(hierarchy)
		if err != nil {
			return nil, fmt.Errorf("finding this process's %s cgroup: %w", hierarchy, err)
		}
		paths[string(hierarchy)] = path
	}
	return paths, nil
}

func (p cgroupPaths) of(hierarchy cgroup1.Name) (string, error) {
	if path, known := p[string(hierarchy)]; known {
		return path, nil
	}
	return "", cgroup1.ErrControllerNotActive
}

// newCgroup makes a group with a limit of memory in bytes.
func newCgroup(paths cgroupPaths, memoryBytes uint64) (*cgroup, error) {
	limit, tasks := int64(memoryBytes), int64(TasksMax)
	if cgroups.Mode() == cgroups.Unified {
		group, err := cgroup2.NewManager(unifiedMount, paths[unifiedHierarchy], &cgroup2.Resources{
			Memory: &cgroup2.Memory{Max: &limit}, Pids: &cgroup2.Pids{Max: tasks},
		})
		if err != nil {
			return nil, fmt.Errorf("making cgroup %v: %w", paths, err)
		}
		return &cgroup{v2: group}, nil
	}
	group, err := cgroup1.New(paths.of, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit}, Pids: &specs.LinuxPids{Limit: &tasks},
	}, cgroup1.WithHierarchy(memoryHierarchy))
	if err != nil {
		return nil, fmt.Errorf("making cgroup %v: %w", paths, err)
	}
	return &cgroup{v1: group}, nil
}

// loadCgroup finds the group of an earlier daemon's worker; nil when there is none.
func loadCgroup(paths cgroupPaths) (*cgroup, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	if cgroups.Mode() == cgroups.Unified {
		if _, err := os.Stat(filepath.Join(unifiedMount, paths[unifiedHierarchy])); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		group, err := cgroup2.Load(paths[unifiedHierarchy])
		if err != nil {
			return nil, fmt.Errorf("loading cgroup %v: %w", paths, err)
		}
		return &cgroup{v2: group}, nil
	}
	group, err := cgroup1.Load(paths.of, cgroup1.WithHierarchy(memoryHierarchy))
	if errors.Is(err, cgroup1.ErrCgroupDeleted) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading cgroup %v: %w", paths, err)
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
