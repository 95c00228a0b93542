package nvml

import (
	"fmt"
	"strings"

	"sluice/broker/device"
)

// Match gives each Device that is one of the GPUs what the management library knows of it. They are the same if their UUIDs are
// or, where the driver tells none, their places on the PCI bus. A GPU that no Device is gets a note: no driver lends it.
func Match(devices []device.Device, gpus []GPU) (notes []string) {
	for _, gpu := range gpus {
		found := false
		for i := range devices {
			d := &devices[i]
			if !same(*d, gpu) {
				continue
			}
			found = true
			d.UUID, d.PCIBusID, d.NUMANode, d.MIG = gpu.UUID, gpu.PCIBusID, gpu.NUMANode, gpu.MIG
		}
		if !found {
			notes = append(notes, fmt.Sprintf("GPU %s (%s, %s): no OpenCL driver shows it", gpu.UUID, gpu.Name, gpu.PCIBusID))
		}
	}
	return notes
}

func same(d device.Device, gpu GPU) bool {
	if d.Kind != device.KindGPU {
		return false
	}
	if d.UUID != "" {
		return bare(d.UUID) == bare(gpu.UUID)
	}
	return d.PCIBusID != "" && strings.EqualFold(d.PCIBusID, gpu.PCIBusID)
}

// bare takes the prefix off that the management library puts before a UUID's 16 bytes.
func bare(uuid string) string { return strings.ToLower(strings.TrimPrefix(uuid, "GPU-")) }
