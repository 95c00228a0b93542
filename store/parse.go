package store

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var (
	envNamePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	imagePattern   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$`)
)

// ParseFunction reads a function.yaml, checks it and fills in defaults. Unknown
// fields, anchors, tags and further documents are refused. The error wraps ErrInvalid and lists everything
// that is wrong, each with its line, its field and the limit.
func ParseFunction(text []byte) (FunctionSpec, error) {
	root, err := parseYAML(text)
	if err != nil {
		return FunctionSpec{}, err
	}
	spec := FunctionSpec{
		Resources:   Resources{CPUMilli: DefaultCPUMilli, MemoryBytes: DefaultMemoryBytes},
		Batch:       Batch{Policy: DefaultBatchPolicy, MaxSize: DefaultBatchSize},
		Scale:       Scale{Max: -1, Idle: DefaultScaleIdle, StartTimeout: DefaultStartTimeout},
		Concurrency: DefaultConcurrency,
	}
	var d document
	given := d.mapping(root, "", d.functionFields(&spec))
	if given == nil {
		return FunctionSpec{}, errors.Join(d.errors...)
	}
	if spec.Scale.Max < 0 {
		spec.Scale.Max = max(DefaultScaleMax, spec.Scale.Min)
	}
	for _, name := range []string{"apiVersion", "kind", "name"} {
		if !given[name] {
			d.fail(root, name, "is needed")
		}
	}
	if !given["image"] && !given["command"] {
		d.fail(root, "image", "is needed, or command for a plain process")
	}
	if spec.Scale.Min > spec.Scale.Max {
		d.fail(root, "scale.min", "%d is over scale.max, which is %d", spec.Scale.Min, spec.Scale.Max)
	}
	if len(d.errors) > 0 {
		return FunctionSpec{}, errors.Join(d.errors...)
	}
	return spec, nil
}

func (d *document) functionFields(spec *FunctionSpec) map[string]field {
	return map[string]field{
		"apiVersion": d.exactly(FunctionAPIVersion),
		"kind":       d.exactly(FunctionKind),
		"name":       func(node *yaml.Node, path string) { d.name(&spec.Name, node, path) },
		"image":      func(node *yaml.Node, path string) { d.image(&spec.Image, node, path) },
		"command":    func(node *yaml.Node, path string) { d.command(&spec.Command, node, path) },
		"env":        func(node *yaml.Node, path string) { d.env(&spec.Env, node, path) },
		"port":       d.number(&spec.Port, 0, 65535),
		"resources": d.section(map[string]field{
			"cpu":    d.cpu(&spec.Resources.CPUMilli),
			"memory": d.memory(&spec.Resources.MemoryBytes, MinMemoryBytes),
		}),
		"device": func(node *yaml.Node, path string) { d.device(&spec.Device, node, path) },
		"batch": d.section(map[string]field{
			"policy":      d.oneOf(&spec.Batch.Policy, BatchAdaptive, BatchWindow, BatchNone),
			"max_size":    d.number(&spec.Batch.MaxSize, 1, MaxBatchSize),
			"max_wait_ms": d.duration(&spec.Batch.MaxWait, time.Millisecond, 0, MaxBatchWait),
			"slo_ms":      d.duration(&spec.Batch.SLO, time.Millisecond, 0, MaxSLO),
			"pad":         func(node *yaml.Node, path string) { d.texts(&spec.Batch.Pad, MaxPadNames, MaxPadNameBytes, node, path) },
		}),
		"scale": d.section(map[string]field{
			"min":             d.number(&spec.Scale.Min, 0, MaxScale),
			"max":             d.number(&spec.Scale.Max, 1, MaxScale),
			"idle_s":          d.duration(&spec.Scale.Idle, time.Second, 0, MaxScaleIdle),
			"start_timeout_s": d.duration(&spec.Scale.StartTimeout, time.Second, time.Second, MaxStartTimeout),
		}),
		"concurrency": d.number(&spec.Concurrency, 1, MaxInstanceConcurrency),
	}
}

func (d *document) section(fields map[string]field) field {
	return func(node *yaml.Node, path string) { _ = d.mapping(node, path, fields) }
}

func (d *document) name(target *string, node *yaml.Node, path string) {
	text := d.text(node, path, MaxNameBytes)
	if text == "" {
		return
	}
	if !labelPattern.MatchString(text) {
		d.fail(node, path, "%q is not a DNS label (a-z, 0-9, '-'; neither first nor last a '-')", text)
		return
	}
	*target = text
}

func (d *document) image(target *string, node *yaml.Node, path string) {
	*target = d.text(node, path, MaxImageBytes)
	if *target != "" && !imagePattern.MatchString(*target) {
		d.fail(node, path, "%q is not the name of an image (letters, digits and . _ / : @ -)", clip(*target))
	}
}

func (d *document) command(target *[]string, node *yaml.Node, path string) {
	if node.Kind == yaml.SequenceNode && len(node.Content) == 0 {
		d.fail(node, path, `must be a list of texts, such as ["./program", "argument"]`)
		return
	}
	d.texts(target, MaxCommandArguments, MaxArgumentBytes, node, path)
}

// texts reads a list of so many texts at most, each of so many bytes.
func (d *document) texts(target *[]string, most, bytes int, node *yaml.Node, path string) {
	switch {
	case node.Kind != yaml.SequenceNode:
		d.fail(node, path, `must be a list of texts, such as ["./program", "argument"]`)
		return
	case len(node.Content) > most:
		d.fail(node, path, "%d entries are over the limit of %d", len(node.Content), most)
		return
	}
	for _, each := range node.Content {
		*target = append(*target, d.text(each, path, bytes))
	}
}

func (d *document) env(target *map[string]string, node *yaml.Node, path string) {
	if len(node.Content)/2 > MaxEnvEntries {
		d.fail(node, path, "%d entries are over the limit of %d", len(node.Content)/2, MaxEnvEntries)
		return
	}
	*target = make(map[string]string)
	d.entries(node, path, func(key string, keyNode, value *yaml.Node) {
		path := join(path, clip(key))
		switch {
		case len(key) > MaxEnvNameBytes:
			d.fail(keyNode, path, "%d bytes are over the limit of %d", len(key), MaxEnvNameBytes)
		case !envNamePattern.MatchString(key):
			d.fail(keyNode, path, "must be a name of letters, digits and '_', the first no digit")
		case key == reservedEnvOpenCLICD || strings.HasPrefix(key, reservedEnvPrefix):
			d.fail(keyNode, path, "is set by sluice (%s... and %s are reserved)", reservedEnvPrefix, reservedEnvOpenCLICD)
		case value.Kind == yaml.ScalarNode && value.Tag == "!!str" && value.Value == "":
			(*target)[key] = ""
		default:
			(*target)[key] = d.text(value, path, MaxEnvValueBytes)
		}
	})
}

func (d *document) device(target **DeviceRequest, node *yaml.Node, path string) {
	request := &DeviceRequest{}
	given := d.mapping(node, path, map[string]field{
		"api":     d.oneOf(&request.API, DeviceAPIOpenCL),
		"memory":  d.memory(&request.MemoryBytes, MinDeviceMemoryBytes),
		"compute": d.number(&request.ComputeMilli, 0, MaxComputeMilli),
		"count":   d.number(&request.Count, 1, MaxDevices),
	})
	for _, name := range []string{"api", "memory"} {
		if given != nil && !given[name] {
			d.fail(node, join(path, name), "is needed")
		}
	}
	*target = request
}
