//go:build amxemu

package cpukern

// amxEmulated is for tests under scripts/amx, which carries out AMX instructions for a processor that has none.
const amxEmulated = true
