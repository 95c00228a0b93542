package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"sluice/broker/device"
)

// OverheadBytes is what a worker may use beside its Slice: the driver, its compiler (PoCL's LLVM), and the Sessions'
// shared memory.
const OverheadBytes = 512 << 20

// TasksMax bounds a worker's threads and processes.
const TasksMax = 4096

// Weights of the processor among workers. A worker that has work gets of the host's processors what its weight is of all
// the busy workers' weights; what others leave is its own, too.
const (
	weightPerMilli   = 10  // of a Slice's compute, in thousandths
	weightUnreserved = 100 // of a Lease that reserves no compute
	// A warm worker loads its driver, which must not take longer the busier the device is.
	weightWarm = device.ComputeWhole * weightPerMilli

	// All workers together weigh what a container with this host's processors weighs: cpu.shares and cpu.weight differ in scale.
	sharesPerProcessor = 1024
	weightPerProcessor = 100
	weightMax          = 10000 // cgroup v2
)

// weightOf is the weight of a Lease that reserves a Device's compute, in thousandths.
func weightOf(computeMilli int) uint64 {
	return uint64(max(computeMilli*weightPerMilli, weightUnreserved))
}

// unifiedMount is where cgroup v2 is mounted on a host that has only that.
const unifiedMount = "/sys/fs/cgroup"

// cgroup holds one worker, or all. On a v1 or hybrid host it lies below the daemon's own; on a v2 host below the root, because
// there a group that holds processes cannot have children with limits.
type cgroup struct {
	v1 cgroup1.Cgroup
	v2 *cgroup2.Manager
}

// cgroupName names the group of all workers by the daemon's folder, so that several daemons do not meet.
func cgroupName(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return "/sluice-" + hex.EncodeToString(sum[:4])
}

// hierarchies of version 1 that a group lies in; the processor's only where the host has it.
var hierarchies = []cgroup1.Name{cgroup1.Memory, cgroup1.Pids, cgroup1.Cpu}

func (p cgroupPaths) subsystems() ([]cgroup1.Subsystem, error) {
	all, err := cgroup1.Default()
	if err != nil {
		return nil, fmt.Errorf("finding the cgroups' hierarchies: %w", err)
	}
	return slices.DeleteFunc(all, func(s cgroup1.Subsystem) bool { return p[string(s.Name())] == "" }), nil
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
	for _, hierarchy := range hierarchies {
		path, err := nested(hierarchy)
		if errors.Is(err, cgroup1.ErrControllerNotActive) && hierarchy == cgroup1.Cpu {
			continue
		}
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

// below says where a group below this one lies.
func (p cgroupPaths) below(name string) cgroupPaths {
	below := cgroupPaths{}
	for hierarchy, path := range p {
		below[hierarchy] = filepath.Join(path, name)
	}
	return below
}

// newCgroup makes the group of one worker, with a limit of memory in bytes.
func newCgroup(paths cgroupPaths, memoryBytes uint64) (*cgroup, error) {
	limit, tasks, weight := int64(memoryBytes), int64(TasksMax), uint64(weightWarm)
	if cgroups.Mode() == cgroups.Unified {
		return newUnified(paths, &cgroup2.Resources{
			Memory: &cgroup2.Memory{Max: &limit}, Pids: &cgroup2.Pids{Max: tasks}, CPU: &cgroup2.CPU{Weight: &weight},
		})
	}
	return newSplit(paths, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit}, Pids: &specs.LinuxPids{Limit: &tasks}, CPU: &specs.LinuxCPU{Shares: &weight},
	})
}

// newParent makes the group of all workers, or finds it as an earlier daemon left it.
func newParent(paths cgroupPaths) (*cgroup, error) {
	if cgroups.Mode() == cgroups.Unified {
		weight := uint64(min(runtime.NumCPU()*weightPerProcessor, weightMax))
		return newUnified(paths, &cgroup2.Resources{CPU: &cgroup2.CPU{Weight: &weight}})
	}
	shares := uint64(runtime.NumCPU() * sharesPerProcessor)
	return newSplit(paths, &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}})
}

func newUnified(paths cgroupPaths, resources *cgroup2.Resources) (*cgroup, error) {
	group, err := cgroup2.NewManager(unifiedMount, paths[unifiedHierarchy], resources)
	if err != nil {
		return nil, fmt.Errorf("making cgroup %v: %w", paths, err)
	}
	return &cgroup{v2: group}, nil
}

func newSplit(paths cgroupPaths, resources *specs.LinuxResources) (*cgroup, error) {
	group, err := cgroup1.New(paths.of, resources, cgroup1.WithHierarchy(paths.subsystems))
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
	group, err := cgroup1.Load(paths.of, cgroup1.WithHierarchy(paths.subsystems))
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

// grant sets what a Lease gives: memory in bytes, and a weight of the processor.
func (c *cgroup) grant(memoryBytes, weight uint64) error {
	limit := int64(memoryBytes)
	if c.v2 != nil {
		return c.v2.Update(&cgroup2.Resources{Memory: &cgroup2.Memory{Max: &limit}, CPU: &cgroup2.CPU{Weight: &weight}})
	}
	return c.v1.Update(&specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit}, CPU: &specs.LinuxCPU{Shares: &weight},
	})
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
