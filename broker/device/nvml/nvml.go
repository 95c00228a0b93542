// Package nvml asks NVIDIA's management library what no API for programs tells: a GPU's place in the machine, its partitions,
// its health. The library comes with the driver and is looked for at run time. Only sluice-worker links this package.
package nvml

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"sluice/broker/device"
)

// ErrNoLibrary says that this host has no management library, or no driver under it. That is no fault.
var ErrNoLibrary = errors.New("no NVIDIA management library")

// gpusMax bounds what the library may report.
const gpusMax = 256

const pciDevices = "/sys/bus/pci/devices"

// Library is what is used of the management library, opened.
type Library struct {
	nvml       nvml.Interface
	pciDevices string
}

// Open loads the library. Close gives it back.
func Open() (*Library, error) { return open(nvml.New(), pciDevices) }

func open(library nvml.Interface, pciDevices string) (*Library, error) {
	switch result := library.Init(); result {
	case nvml.SUCCESS:
		return &Library{library, pciDevices}, nil
	case nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, fmt.Errorf("%w: %s", ErrNoLibrary, nvml.ErrorString(result))
	default:
		return nil, failed("loading the library", result)
	}
}

// Close gives the library back.
func (l *Library) Close() error {
	if result := l.nvml.Shutdown(); result != nvml.SUCCESS {
		return failed("closing the library", result)
	}
	return nil
}

// GPU is one GPU as the management library shows it.
type GPU struct {
	Name        string
	UUID        string
	PCIBusID    string
	MemoryBytes uint64
	NUMANode    *int
	MIG         *device.MIG
}

// GPUs lists the host's GPUs. One that fails is left out, and a note says why.
func (l *Library) GPUs() (gpus []GPU, notes []string, err error) {
	count, result := l.nvml.DeviceGetCount()
	if result != nvml.SUCCESS {
		return nil, nil, failed("counting GPUs", result)
	}
	for i := range min(count, gpusMax) {
		handle, result := l.nvml.DeviceGetHandleByIndex(i)
		if result != nvml.SUCCESS {
			notes = append(notes, fmt.Sprintf("GPU %d: %v", i, failed("opening it", result)))
			continue
		}
		gpu, err := l.describe(handle)
		if err != nil {
			notes = append(notes, fmt.Sprintf("GPU %d: %v", i, err))
			continue
		}
		gpus = append(gpus, gpu)
	}
	return gpus, notes, nil
}

func (l *Library) describe(handle nvml.Device) (GPU, error) {
	var gpu GPU
	var result nvml.Return
	if gpu.Name, result = handle.GetName(); result != nvml.SUCCESS {
		return gpu, failed("its name", result)
	}
	if gpu.UUID, result = handle.GetUUID(); result != nvml.SUCCESS {
		return gpu, failed("its UUID", result)
	}
	memory, result := handle.GetMemoryInfo()
	if result != nvml.SUCCESS {
		return gpu, failed("its memory", result)
	}
	gpu.MemoryBytes = memory.Total
	place, result := handle.GetPciInfo()
	if result != nvml.SUCCESS {
		return gpu, failed("its place", result)
	}
	gpu.PCIBusID = fmt.Sprintf("%04x:%02x:%02x.0", place.Domain, place.Bus, place.Device)
	gpu.NUMANode = l.numaNode(gpu.PCIBusID)
	var err error
	gpu.MIG, err = partitions(handle)
	return gpu, err
}

// numaNode reads it from the kernel: older libraries do not tell.
func (l *Library) numaNode(pciBusID string) *int {
	text, err := os.ReadFile(filepath.Join(l.pciDevices, pciBusID, "numa_node"))
	if err != nil {
		return nil
	}
	node, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || node < 0 { // -1: the machine has one node only
		return nil
	}
	return &node
}

// partitions returns nil for a GPU that cannot be partitioned.
func partitions(handle nvml.Device) (*device.MIG, error) {
	mode, _, result := handle.GetMigMode()
	if result == nvml.ERROR_NOT_SUPPORTED || result == nvml.ERROR_FUNCTION_NOT_FOUND {
		return nil, nil
	}
	if result != nvml.SUCCESS {
		return nil, failed("its MIG mode", result)
	}
	mig := &device.MIG{Enabled: mode == nvml.DEVICE_MIG_ENABLE}
	if !mig.Enabled {
		return mig, nil
	}
	for profile := range nvml.GPU_INSTANCE_PROFILE_COUNT {
		info, result := handle.GetGpuInstanceProfileInfo(profile)
		if result == nvml.ERROR_NOT_SUPPORTED || result == nvml.ERROR_INVALID_ARGUMENT {
			continue
		}
		if result != nvml.SUCCESS {
			return nil, failed(fmt.Sprintf("its MIG profile %d", profile), result)
		}
		instances, result := handle.GetGpuInstances(&info)
		if result != nvml.SUCCESS {
			return nil, failed(fmt.Sprintf("its instances of MIG profile %d", profile), result)
		}
		for _, instance := range instances {
			found, result := instance.GetInfo()
			if result != nvml.SUCCESS {
				return nil, failed("a MIG instance", result)
			}
			mig.Partitions = append(mig.Partitions, device.Partition{
				ID: int(found.Id), MemoryBytes: info.MemorySizeMB << 20, ComputeSlices: int(info.SliceCount),
				MemoryStart: int(found.Placement.Start), MemorySlices: int(found.Placement.Size),
			})
		}
	}
	return mig, nil
}

func failed(doing string, result nvml.Return) error {
	return fmt.Errorf("NVML: %s: %s", doing, nvml.ErrorString(result))
}
