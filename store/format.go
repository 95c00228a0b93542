package store

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// functionDocument is a function.yaml with every field in the order of its documentation.
type functionDocument struct {
	APIVersion  string            `yaml:"apiVersion"`
	Kind        string            `yaml:"kind"`
	Name        string            `yaml:"name"`
	Image       string            `yaml:"image,omitempty"`
	Command     []string          `yaml:"command,omitempty,flow"`
	Env         map[string]string `yaml:"env,omitempty"`
	Port        int               `yaml:"port,omitempty"`
	Resources   resourcesDocument `yaml:"resources,flow"`
	Device      *deviceDocument   `yaml:"device,omitempty,flow"`
	Batch       batchDocument     `yaml:"batch,flow"`
	Scale       scaleDocument     `yaml:"scale,flow"`
	Concurrency int               `yaml:"concurrency"`
}

type resourcesDocument struct {
	CPU    string `yaml:"cpu"`
	Memory string `yaml:"memory"`
}

type deviceDocument struct {
	API     string `yaml:"api"`
	Memory  string `yaml:"memory"`
	Compute int    `yaml:"compute"`
	Count   int    `yaml:"count,omitempty"`
}

type batchDocument struct {
	Policy    string   `yaml:"policy"`
	MaxSize   int      `yaml:"max_size"`
	MaxWaitMs int64    `yaml:"max_wait_ms"`
	SLOMs     int64    `yaml:"slo_ms"`
	Pad       []string `yaml:"pad,omitempty,flow"`
}

type scaleDocument struct {
	Min           int   `yaml:"min"`
	Max           int   `yaml:"max"`
	IdleS         int64 `yaml:"idle_s"`
	StartTimeoutS int64 `yaml:"start_timeout_s"`
}

// FormatFunction writes a FunctionSpec as the function.yaml that ParseFunction reads it from, defaults included.
func FormatFunction(spec FunctionSpec) ([]byte, error) {
	document := functionDocument{
		APIVersion: FunctionAPIVersion, Kind: FunctionKind,
		Name: spec.Name, Image: spec.Image, Command: spec.Command, Env: spec.Env, Port: spec.Port,
		Resources: resourcesDocument{fmt.Sprintf("%dm", spec.Resources.CPUMilli), formatMemory(spec.Resources.MemoryBytes)},
		Batch:     batchDocument{spec.Batch.Policy, spec.Batch.MaxSize, spec.Batch.MaxWait.Milliseconds(), spec.Batch.SLO.Milliseconds(), spec.Batch.Pad},
		Scale: scaleDocument{
			spec.Scale.Min, spec.Scale.Max, int64(spec.Scale.Idle / time.Second), int64(spec.Scale.StartTimeout / time.Second),
		},
		Concurrency: spec.Concurrency,
	}
	if spec.Device != nil {
		document.Device = &deviceDocument{spec.Device.API, formatMemory(spec.Device.MemoryBytes), spec.Device.ComputeMilli, spec.Device.Count}
	}
	text, err := yaml.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("writing function %s: %w", spec.Name, err)
	}
	return text, nil
}

// formatMemory writes bytes in the largest unit that keeps them a whole number.
func formatMemory(bytes uint64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti"}
	unit := 0
	for unit < len(units)-1 && bytes >= 1024 && bytes%1024 == 0 {
		bytes /= 1024
		unit++
	}
	return fmt.Sprintf("%d%s", bytes, units[unit])
}
