package device

import (
	"errors"
	"strings"
	"testing"
)

func TestDeviceValidate(t *testing.T) {
	good := Device{ID: "d", API: APIOpenCL, MemoryBytes: 1}
	if err := good.Validate(); err != nil {
		t.Errorf("a good device: %v", err)
	}
	for says, change := range map[string]func(*Device){
		"without an id":  func(d *Device) { d.ID = "" },
		"no api":         func(d *Device) { d.API = "" },
		"no memory":      func(d *Device) { d.MemoryBytes = 0 },
		"negative index": func(d *Device) { d.PlatformIndex = -1 },
		"uuid":           func(d *Device) { d.UUID = strings.Repeat("u", 81) },
		"65 partitions":  func(d *Device) { d.MIG = &MIG{Partitions: make([]Partition, 65)} },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want it to say %q", err, says)
		}
	}
}

func TestSliceValidate(t *testing.T) {
	for _, good := range []Slice{{MemoryBytes: 1}, {MemoryBytes: 1, ComputeMilli: ComputeWhole, Keeper: KeeperHardware}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for says, bad := range map[string]Slice{
		"memory":  {},
		"compute": {MemoryBytes: 1, ComputeMilli: ComputeWhole + 1},
		"keeper":  {MemoryBytes: 1, Keeper: "nobody"},
	} {
		if err := bad.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: error %v, want it to name %s", bad, err, says)
		}
	}
}

func TestHealthEventValidate(t *testing.T) {
	for _, good := range []HealthEvent{{UUID: "GPU-1", Kind: HealthXID}, {UUID: "GPU-1", Kind: HealthLost}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []HealthEvent{{UUID: "GPU-1", Kind: "unknown"}, {Kind: HealthXID}, {UUID: strings.Repeat("u", 81), Kind: HealthXID}} {
		if err := bad.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
