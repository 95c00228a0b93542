package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/broker/device"
	"sluice/broker/supervisor"
)

const (
	probeTimeout = 30 * time.Second
	installPoCL  = "apt-get install -y libmimalloc2.0 ocl-icd-libopencl1 pocl-opencl-icd binutils   # or your vendor's OpenCL driver"
)

func checkPrograms(_ context.Context, host Host) Finding {
	for _, path := range []string{host.WorkerPath, host.ShimPath} {
		if _, err := os.Stat(path); err != nil {
			return missing(err.Error(), "make build, or put sluice-worker beside sluice and libsluice-opencl.so into ../lib/sluice")
		}
	}
	return ok("worker and library are there")
}

// checkDevices has a worker probe the host as the daemon would, confined in the same way.
func checkDevices(ctx context.Context, host Host) Finding {
	if _, err := os.Stat(host.WorkerPath); err != nil {
		return missing("cannot be asked without sluice-worker", "see programs")
	}
	folder, err := os.MkdirTemp("/tmp", "sluice-doctor-")
	if err != nil {
		return missing(err.Error(), "make /tmp writable")
	}
	defer os.RemoveAll(folder)
	workers, err := supervisor.New(supervisor.Config{
		WorkerPath: host.WorkerPath, Folder: folder, Warm: 1, ProbeTimeout: probeTimeout, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return missing(err.Error(), "use another build of sluice-worker, or make /tmp writable")
	}
	inventory, err := workers.Probe(ctx)
	if err != nil {
		return missing(err.Error(), fmt.Sprintf("run `%s probe` to see the driver fail; %s", host.WorkerPath, installPoCL))
	}
	if len(inventory.Devices) == 0 {
		return missing("no device: "+strings.Join(inventory.Notes, "; "), installPoCL)
	}
	var names []string
	for _, d := range inventory.Devices {
		names = append(names, d.ID+" ("+d.Name+")")
	}
	found := strings.Join(names, ", ")
	if slices.ContainsFunc(inventory.Devices, usesLinker) {
		if _, err := exec.LookPath("ld"); err != nil {
			return missing(found+": PoCL links kernels with ld, which is not there", "apt-get install -y binutils")
		}
	}
	if !workers.Confined() {
		return warning(found+"; workers are NOT confined: this user may not make namespaces", "run as root, or see namespaces")
	}
	return ok(found + "; workers are confined")
}

func usesLinker(d device.Device) bool {
	return strings.Contains(d.Platform, "Portable Computing Language")
}

// PCI's numbers for NVIDIA and for display controllers.
const (
	pciVendorNVIDIA = "0x10de"
	pciClassDisplay = "0x03"
)

// checkNVIDIA matters only where there is such hardware.
func checkNVIDIA(context.Context, Host) Finding {
	const install = "apt-get install -y nvidia-driver nvidia-opencl-icd libnvidia-ml1"
	if !hasNVIDIA("/sys/bus/pci/devices") {
		return ok("no NVIDIA hardware")
	}
	if _, err := os.Stat("/dev/nvidiactl"); err != nil {
		return missing("NVIDIA hardware, but its kernel driver is not loaded", install+" && modprobe nvidia")
	}
	libraries, err := exec.Command("/sbin/ldconfig", "-p").Output()
	if err == nil && !strings.Contains(string(libraries), "libnvidia-ml.so.1") {
		return warning("no libnvidia-ml.so.1: memory, MIG and health of GPUs stay unknown", install)
	}
	return ok("driver and management library are there")
}

func hasNVIDIA(devices string) bool {
	vendors, err := filepath.Glob(filepath.Join(devices, "*", "vendor"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(vendors, func(path string) bool {
		vendor, _ := os.ReadFile(path)
		class, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "class"))
		return strings.TrimSpace(string(vendor)) == pciVendorNVIDIA && strings.HasPrefix(string(class), pciClassDisplay)
	})
}
