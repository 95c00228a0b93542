package store_test

import (
	"errors"
	"math"
	"testing"

	"sluice/store"
)

func TestParseMemory(t *testing.T) {
	for text, wanted := range map[string]uint64{
		"0": 0, "1": 1, "128": 128, "1k": 1000, "1Ki": 1024, "256Mi": 256 << 20, "1.5Gi": 3 << 29, "0.5Ki": 512, "14.3Gi": 15354508084, "0.3": 1, "1.0001Ki": 1025,
		"1M": 1e6, "2G": 2e9, "3T": 3e12, "1Ti": 1 << 40, "18446744073709551615": math.MaxUint64, "0.000000000931322574615478515625Gi": 0,
	} {
		got, err := store.ParseMemory(text)
		if len(text) > 26 { // more characters than any quantity needs
			if err == nil {
				t.Errorf("%q was accepted", text)
			}
			continue
		}
		if err != nil || got != wanted {
			t.Errorf("%q gives %d, %v; want %d", text, got, err, wanted)
		}
	}
	for _, text := range []string{
		"", "Mi", "-1", "+1", "1e3", "1 Mi", "1mi", "0x10", "1..5Gi", "1.", ".5Gi", "1_000", "٣",
		"18446744073709551616", "16777216Ti", "99999999999999999999999999", "1E", "NaN", "1/2", "1Mi1",
	} {
		if got, err := store.ParseMemory(text); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q gives %d, %v; want ErrInvalid", text, got, err)
		}
	}
}

func TestParseCPU(t *testing.T) {
	for text, wanted := range map[string]int{"500m": 500, "1": 1000, "0.5": 500, "1.25": 1250, "0.001": 1, "1024": store.MaxCPUMilli} {
		if got, err := store.ParseCPU(text); err != nil || got != wanted {
			t.Errorf("%q gives %d, %v; want %d", text, got, err, wanted)
		}
	}
	for _, text := range []string{"", "m", "0.5m", "0.0001", "-1", "1e3", "1025", "99999999999999999999", "1 m", "1Mi"} {
		if got, err := store.ParseCPU(text); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q gives %d, %v; want ErrInvalid", text, got, err)
		}
	}
}
