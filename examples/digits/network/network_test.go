package network

import (
	"encoding/binary"
	"testing"
)

func TestLayersFitTogether(t *testing.T) {
	layers, err := Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) < 2 {
		t.Fatalf("%d layers", len(layers))
	}
}

func TestDecodeRefusesOtherFiles(t *testing.T) {
	changed := func(offset int, value uint32) []byte {
		data := append([]byte{}, weights...)
		binary.LittleEndian.PutUint32(data[offset:], value)
		return data
	}
	for name, data := range map[string][]byte{
		"empty":          nil,
		"short":          weights[:len(weights)-1],
		"long":           append(changed(0, 3), 0),
		"no layers":      changed(0, 0),
		"many layers":    changed(0, maxLayers+1),
		"fewer layers":   changed(0, 2),
		"other inputs":   changed(4, Pixels+1),
		"no outputs":     changed(8, 0),
		"huge outputs":   changed(8, 1<<31),
		"another middle": changed(8, 127),
	} {
		if layers, err := decode(data); err == nil {
			t.Errorf("%s: decoded %d layers", name, len(layers))
		}
	}
}
