package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// Build writes an OCI image archive (a tar of an OCI image layout) of the folder to w. name is what Import will call it.
// The folder holds one built program, or an image.yaml that names one among several:
//
//	entrypoint: [./digits, --verbose]   # default: the only executable
//	include: [digits, weights/*]        # default: all files but hidden ones
//	libraries: [libOpenCL.so.1]         # opened by name at run time, thus not found in the program
//	user: 0:0                           # default: nobody
func Build(ctx context.Context, dir, name string, w io.Writer) error {
	name, err := Name(name)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("build image of %s: %w", dir, err)
	}
	defer root.Close()
	if err := build(ctx, root, name, w); err != nil {
		return fmt.Errorf("build image of %s: %w", dir, err)
	}
	return nil
}

func build(ctx context.Context, root *os.Root, name string, w io.Writer) error {
	m, err := readManifest(root)
	if err != nil {
		return err
	}
	files, err := collect(root, m)
	if err != nil {
		return err
	}
	main, err := entrypoint(files, m)
	if err != nil {
		return err
	}
	libraries, err := link(files, main, m.Libraries)
	if err != nil {
		return err
	}
	config := imageConfig(main.executable, append([]string{"/" + main.name}, arguments(m)...), m.User)
	entries := slices.Concat(files, libraries, baseEntries())
	return writeArchive(ctx, w, name, config, entries)
}

func arguments(m manifest) []string {
	if len(m.Entrypoint) == 0 {
		return nil
	}
	return m.Entrypoint[1:]
}

// entrypoint finds the program to start: the one that the manifest names, or the only one there is.
func entrypoint(files []entry, m manifest) (entry, error) {
	var candidates []entry
	var names []string
	for _, file := range files {
		if len(m.Entrypoint) > 0 {
			if "/"+file.name != path.Join(Folder, m.Entrypoint[0]) {
				continue
			}
			if file.executable == nil || file.mode&0o111 == 0 {
				return entry{}, fmt.Errorf("%w: entrypoint %q is no executable ELF program", ErrInvalid, m.Entrypoint[0])
			}
			return file, nil
		}
		if file.executable != nil && file.executable.startable && file.mode&0o111 != 0 {
			candidates = append(candidates, file)
			names = append(names, strings.TrimPrefix("/"+file.name, Folder+"/"))
		}
	}
	switch {
	case len(m.Entrypoint) > 0:
		return entry{}, fmt.Errorf("%w: entrypoint %q is not in the folder", ErrInvalid, m.Entrypoint[0])
	case len(candidates) == 0:
		return entry{}, fmt.Errorf("%w: the folder has no executable ELF program: build it first", ErrInvalid)
	case len(candidates) > 1:
		return entry{}, fmt.Errorf("%w: the folder has several programs (%.200s): name one as entrypoint in %s", ErrInvalid, strings.Join(names, ", "), ManifestName)
	}
	return candidates[0], nil
}

// link gathers what the folder's programs and libraries link, and the extra libraries as if main linked them.
func link(files []entry, main entry, extra []string) ([]entry, error) {
	if architectures[main.executable.machine] == "" {
		return nil, fmt.Errorf("%w: %s is built for %s, which is not supported", ErrInvalid, main.name, main.executable.machine)
	}
	r := newResolver(files)
	for _, file := range files {
		if file.executable == nil {
			continue
		}
		if !compatible(file.executable, main.executable) {
			return nil, fmt.Errorf("%w: %s and %s are built for different machines", ErrInvalid, file.name, main.name)
		}
		if err := r.gather(file.executable, path.Dir("/"+file.name)); err != nil {
			return nil, fmt.Errorf("%s: %w", file.name, err)
		}
	}
	for _, name := range extra {
		if err := r.need(name, main.executable, path.Dir("/"+main.name)); err != nil {
			return nil, fmt.Errorf("%s: %w", ManifestName, err)
		}
	}
	return r.files, nil
}
