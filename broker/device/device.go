// Package device holds the nouns of the pool: a Device, which is one accelerator as its driver shows it, and a Slice,
// which is a part of one Device that can be promised to somebody. The packages below it (opencl, ...) list Devices by
// asking a vendor's driver; only sluice-worker links them.
package device

import (
	"errors"
	"fmt"
)

// APIOpenCL is the Device.API of a device that is programmed through OpenCL.
const APIOpenCL = "opencl"

// ComputeWhole is the compute of a whole Device, in thousandths.
const ComputeWhole = 1000

// ErrInvalid is wrapped by the errors of Validate.
var ErrInvalid = errors.New("invalid device or slice")

// Kind says what sort of accelerator a Device is.
type Kind string

// The kinds that a driver can report.
const (
	KindCPU         Kind = "cpu"
	KindGPU         Kind = "gpu"
	KindAccelerator Kind = "accelerator" // FPGAs and the like: CL_DEVICE_TYPE_ACCELERATOR
	KindCustom      Kind = "custom"
)

// Keeper says who keeps a Slice apart from its neighbours on the same Device.
type Keeper string

// A hardware Slice is a partition made by the device (a MIG instance, an FPGA region); a software Slice is kept by the
// worker's process limits and counting.
const (
	KeeperSoftware Keeper = "software"
	KeeperHardware Keeper = "hardware"
)

// Device is one accelerator as its driver shows it.
type Device struct {
	ID            string `json:"id"`             // unique in the pool, stable while the host's drivers stay the same, e.g. "opencl-0-0"
	Name          string `json:"name"`           // as the driver reports it
	Vendor        string `json:"vendor"`         // as the driver reports it
	Platform      string `json:"platform"`       // name of the driver's platform, e.g. "Portable Computing Language"
	DriverVersion string `json:"driver_version"` // as the driver reports it
	API           string `json:"api"`            // how it is programmed: APIOpenCL
	Kind          Kind   `json:"kind"`

	MemoryBytes   uint64 `json:"memory_bytes"`    // memory that may be promised in Slices
	MaxAllocBytes uint64 `json:"max_alloc_bytes"` // largest single allocation
	ComputeUnits  int    `json:"compute_units"`

	PlatformIndex int `json:"platform_index"` // place of the platform in the driver loader's list, Sluice's own included
	DeviceIndex   int `json:"device_index"`   // place of the device in its platform's list

	// What the driver or the vendor's management library tells of where the device is; empty where neither does.
	PCIBusID string `json:"pci_bus_id,omitempty"` // domain:bus:device.function in hexadecimal, "0000:3b:00.0"
	UUID     string `json:"uuid,omitempty"`       // the vendor's, "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c"
	NUMANode *int   `json:"numa_node,omitempty"`  // the memory and cores that it is near to
	MIG      *MIG   `json:"mig,omitempty"`        // nil: it cannot be partitioned in hardware
}

// uuidBytesMax bounds the identifiers that vendors give.
const uuidBytesMax = 80

// partitionsMax bounds how many partitions a device may report.
const partitionsMax = 64

// MIG is a GPU's Multi-Instance mode, which partitions it in hardware.
type MIG struct {
	Enabled    bool        `json:"enabled"`
	Partitions []Partition `json:"partitions,omitempty"` // that exist now
}

// Partition is a part of a device that the hardware keeps apart.
type Partition struct {
	ID            int    `json:"id"` // the driver's, unique on the device
	MemoryBytes   uint64 `json:"memory_bytes"`
	ComputeSlices int    `json:"compute_slices"` // of the device's equal parts of compute
	MemoryStart   int    `json:"memory_start"`   // the first of the device's equal parts of memory that it holds
	MemorySlices  int    `json:"memory_slices"`  // how many of them
}

// Validate reports what is wrong with a Device that a probe listed; the error wraps ErrInvalid.
func (d Device) Validate() error {
	switch {
	case d.ID == "":
		return fmt.Errorf("%w: device without an id", ErrInvalid)
	case d.API == "":
		return fmt.Errorf("%w: device %s: no api", ErrInvalid, d.ID)
	case d.MemoryBytes == 0:
		return fmt.Errorf("%w: device %s: reports no memory", ErrInvalid, d.ID)
	case d.PlatformIndex < 0 || d.DeviceIndex < 0:
		return fmt.Errorf("%w: device %s: negative index", ErrInvalid, d.ID)
	case len(d.UUID) > uuidBytesMax || len(d.PCIBusID) > uuidBytesMax:
		return fmt.Errorf("%w: device %s: uuid or pci_bus_id has over %d bytes", ErrInvalid, d.ID, uuidBytesMax)
	case d.MIG != nil && len(d.MIG.Partitions) > partitionsMax:
		return fmt.Errorf("%w: device %s: %d partitions, at most %d", ErrInvalid, d.ID, len(d.MIG.Partitions), partitionsMax)
	}
	return nil
}

// Slice is a part of one Device that can be promised.
type Slice struct {
	DeviceID     string `json:"device_id"`     // in a request, empty means any device that fits
	MemoryBytes  uint64 `json:"memory_bytes"`  // device memory
	ComputeMilli int    `json:"compute_milli"` // thousandths of the Device; 0 reserves none
	Keeper       Keeper `json:"keeper"`        // empty in a request means KeeperSoftware
}

// Validate reports what is wrong with a Slice that somebody asks for; the error wraps ErrInvalid and names the field.
func (s Slice) Validate() error {
	switch {
	case s.MemoryBytes == 0:
		return fmt.Errorf("%w: slice: memory must be more than 0 bytes", ErrInvalid)
	case s.ComputeMilli < 0 || s.ComputeMilli > ComputeWhole:
		return fmt.Errorf("%w: slice: compute is %d thousandths, must be 0 to %d", ErrInvalid, s.ComputeMilli, ComputeWhole)
	case s.Keeper != "" && s.Keeper != KeeperSoftware && s.Keeper != KeeperHardware:
		return fmt.Errorf("%w: slice: keeper %q, must be %s or %s", ErrInvalid, s.Keeper, KeeperSoftware, KeeperHardware)
	}
	return nil
}
