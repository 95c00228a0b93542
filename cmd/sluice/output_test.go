package main

import (
	"strings"
	"testing"

	"sluice/proto/gen/control"
)

func TestFormats(t *testing.T) {
	functions := []*control.Function{{Name: "true", Version: "1", Instances: 2}}
	for format, want := range map[string]string{
		formatTable: "NAME  VERSION\ntrue  1\n",
		formatJSON:  "[\n  {\n    \"name\": \"true\",\n    \"version\": \"1\",\n    \"instances\": 2\n  }\n]\n",
		formatYAML:  "- name: \"true\"\n  version: \"1\"\n  instances: 2\n",
	} {
		var out strings.Builder
		if err := printMessages(&out, format, functions, "NAME VERSION", [][]string{{"true", "1"}}); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s, want\n%s", format, err, out.String(), want)
		}
		out.Reset()
		if err := printList(&out, format, []string(nil), "NAME", nil); err != nil || format != formatTable && out.String() != "[]\n" {
			t.Errorf("%s of nothing: %v, %s", format, err, out.String())
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for bytes, want := range map[uint64]string{0: "0B", 1023: "1023B", 1024: "1Ki", 1536: "1.5Ki", 8 << 30: "8Gi"} {
		if got := formatBytes(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}
