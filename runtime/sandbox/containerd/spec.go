package containerd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
)

// functionDir is where a container sees its function folder.
const functionDir = "/run/function"

// cgroupParent is the folder of all Instances' cgroups.
const cgroupParent = "/sluice"

const (
	pidsMax        = 1024
	periodUS       = 100_000 // of the CPU quota
	quotaUSMin     = 1_000   // the kernel's least
	sharesMin      = 2
	sharesMax      = 262_144
	sharesPerCPU   = 1_024
	tmpBytesMax    = 1 << 30 // of /tmp, which counts as the Instance's memory
	oomScoreAdjust = 500     // a machine short of memory ends functions before daemons
)

// specOptions returns what turns containerd's default OCI spec into the Instance's. The order matters: the image's
// configuration first, seccomp after the capabilities that it depends on.
func specOptions(spec sandbox.Spec, image client.Image, folder inject.Folder) []oci.SpecOpts {
	options := []oci.SpecOpts{oci.WithImageConfig(image)}
	if len(spec.Command) > 0 {
		options = append(options, oci.WithProcessArgs(spec.Command...))
	}
	options = append(
		options,
		withProgram,
		oci.WithEnv(environment(spec.Env)),
		oci.WithEnv(environment(spec.InstanceEnv(functionDir))),
		oci.WithHostname(spec.Function),
		withoutPrivileges,
		oci.WithRootFSReadonly(),
		oci.WithMounts([]specs.Mount{tmp(spec.MemoryBytes), {
			Type: "bind", Source: spec.FunctionDir, Destination: functionDir,
			Options: []string{"bind", "rw", "nosuid", "nodev", "noexec", "rprivate"},
		}}),
		withLease(spec, folder),
		oci.WithCgroup(cgroupParent+"/"+spec.ID),
		withLimits(spec.CPUMilli, spec.MemoryBytes),
		seccomp.WithDefaultProfile(),
	)
	return options
}

// withLease gives the container what its programs need to find the Lease's worker; nothing where it has none. How they
// find the shim depends on the image, which its snapshot shows.
func withLease(spec sandbox.Spec, folder inject.Folder) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, container *containers.Container, s *oci.Spec) error {
		if spec.Lease == nil {
			return nil
		}
		layers, err := c.SnapshotService(container.Snapshotter).Mounts(ctx, container.SnapshotKey)
		if err != nil {
			return fmt.Errorf("look into the image: %w", err)
		}
		var image inject.Image
		err = mount.WithReadonlyTempMount(ctx, layers, func(root string) error {
			image, err = inject.Look(root)
			return err
		})
		if err != nil {
			return err
		}
		mounts, env := folder.Container(spec.Lease, image)
		if own := variable(s, inject.EnvLibraryPath); own != "" && env[inject.EnvLibraryPath] != "" {
			env[inject.EnvLibraryPath] = own + ":" + env[inject.EnvLibraryPath]
		}
		s.Mounts = append(s.Mounts, mounts...)
		return oci.WithEnv(environment(env))(ctx, c, container, s)
	}
}

// variable is a variable of the container's environment so far.
func variable(s *oci.Spec, name string) string {
	for _, set := range s.Process.Env {
		if value, ok := strings.CutPrefix(set, name+"="); ok {
			return value
		}
	}
	return ""
}

func environment(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

func withProgram(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	if len(s.Process.Args) == 0 {
		return fmt.Errorf("%w: command is empty and the image has no entrypoint", sandbox.ErrInvalid)
	}
	return nil
}

func withoutPrivileges(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Process.Capabilities = &specs.LinuxCapabilities{}
	s.Process.NoNewPrivileges = true
	adjust := oomScoreAdjust
	s.Process.OOMScoreAdj = &adjust
	// The directories of sysfs that tell which accelerators the host has; a bare /sys does not show what a function may use.
	s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/sys/class/drm", "/sys/class/accel", "/sys/class/kfd", "/sys/class/nvidia")
	return nil
}

func tmp(memoryBytes uint64) specs.Mount {
	size := uint64(tmpBytesMax)
	if memoryBytes != 0 {
		size = min(size, memoryBytes)
	}
	return specs.Mount{
		Type: "tmpfs", Source: "tmpfs", Destination: "/tmp",
		Options: []string{"nosuid", "nodev", "mode=1777", fmt.Sprintf("size=%d", size)},
	}
}

func withLimits(cpuMilli int, memoryBytes uint64) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		pids := int64(pidsMax)
		s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &pids}
		if cpuMilli > 0 {
			quota := max(int64(cpuMilli)*periodUS/1000, quotaUSMin)
			period := uint64(periodUS)
			shares := min(max(uint64(cpuMilli)*sharesPerCPU/1000, sharesMin), sharesMax)
			s.Linux.Resources.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period, Shares: &shares}
		}
		if memoryBytes > 0 {
			limit := int64(memoryBytes)
			s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
			if countsSwap() {
				s.Linux.Resources.Memory.Swap = &limit // memory and swap together: no swap
			}
		}
		return nil
	}
}
