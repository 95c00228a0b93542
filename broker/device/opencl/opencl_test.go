package opencl

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"sluice/broker/device"
)

// TestDevicesAgreesWithClinfo compares with what another program reads from the same drivers.
func TestDevicesAgreesWithClinfo(t *testing.T) {
	if err := os.Setenv("POCL_CACHE_DIR", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	devices, notes, err := Devices()
	if err != nil || len(devices) == 0 {
		t.Fatalf("%d devices, notes %q, error %v", len(devices), notes, err)
	}
	out, err := exec.Command("clinfo", "--raw").Output()
	if err != nil {
		t.Fatalf("clinfo: %v", err)
	}
	for _, d := range devices {
		for _, want := range []string{d.Name, d.Vendor, d.Platform, d.DriverVersion} {
			if !strings.Contains(string(out), want) {
				t.Errorf("clinfo does not know %q", want)
			}
		}
		if d.API != device.APIOpenCL || d.Kind == "" || d.ComputeUnits < 1 || d.MaxAllocBytes > d.MemoryBytes {
			t.Errorf("implausible device %+v", d)
		}
	}
}

// The texts are those of NVML and of /sys/bus/pci, so that both can be compared.
func TestIdentitiesAreWrittenAsElsewhere(t *testing.T) {
	if got := formatPCI(1, 0x3b, 0x1f, 0); got != "0001:3b:1f.0" {
		t.Errorf("place %s", got)
	}
	uuid := [16]byte{0x4c, 0xf8, 0xdb, 0x2d, 0x06, 0xc0, 0x7d, 0x70, 0x1a, 0x51, 0xe5, 0x9b, 0x25, 0xb2, 0xc1, 0x6c}
	if got := formatUUID(uuid); got != "4cf8db2d-06c0-7d70-1a51-e59b25b2c16c" {
		t.Errorf("uuid %s", got)
	}
}
