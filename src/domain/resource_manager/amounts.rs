//! Amounts of the four kinds of resource, and the arithmetic on them.
//!
//! Invariants: an amount is never negative; sums saturate, so that no input can make one wrap. Cores are
//! counted in thousandths, as fractions of a core may be requested; the others are whole.

use std::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Thousandths in a core.
const MILLIS: u64 = 1_000;

/// A kind of resource that has a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    Cpu,
    /// Memory in megabytes.
    MemMb,
    Gpu,
    /// Their memory in megabytes.
    GpuMemMb,
}

impl ResourceKind {
    /// All kinds, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::MemMb, Self::Gpu, Self::GpuMemMb];

    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::MemMb => "mem_mb",
            Self::Gpu => "gpu",
            Self::GpuMemMb => "gpu_mem_mb",
        }
    }

    /// An amount of this kind for people and the wire, from internal units (thousandths of a core, or whole
    /// ones).
    #[must_use]
    pub fn number(self, units: u64) -> f64 {
        match self {
            Self::Cpu => units as f64 / MILLIS as f64,
            _ => units as f64,
        }
    }

    /// Units of a number that is not negative; a part of a unit counts as a whole one. `None` where no such
    /// number of this kind exists: negative, not finite, or a fraction of an indivisible unit.
    #[must_use]
    pub fn units(self, number: f64) -> Option<u64> {
        if !(number.is_finite() && number >= 0.0) {
            return None;
        }
        match self {
            Self::Cpu => Some((number * MILLIS as f64).ceil() as u64),
            _ => (number.fract() == 0.0).then_some(number as u64),
        }
    }
}

/// Processor cores, to the thousandth. On the wire a number: `4`, `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MilliCores(u64);

impl MilliCores {
    #[must_use]
    pub const fn whole(cores: u64) -> Self {
        Self(cores.saturating_mul(MILLIS))
    }

    /// Thousandths of a core.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MilliCores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ResourceKind::Cpu.number(self.0).fmt(f)
    }
}

impl Serialize for MilliCores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), self.0 % MILLIS) {
            (false, _) => serializer.serialize_u64(self.0),
            (true, 0) => serializer.serialize_u64(self.0 / MILLIS),
            (true, _) => serializer.serialize_f64(ResourceKind::Cpu.number(self.0)),
        }
    }
}

impl<'de> Deserialize<'de> for MilliCores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CoresVisitor;
        impl Visitor<'_> for CoresVisitor {
            type Value = MilliCores;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of cores from 0 on")
            }

            fn visit_u64<E: serde::de::Error>(self, cores: u64) -> Result<MilliCores, E> {
                Ok(MilliCores::whole(cores))
            }

            fn visit_f64<E: serde::de::Error>(self, cores: f64) -> Result<MilliCores, E> {
                ResourceKind::Cpu
                    .units(cores)
                    .map(MilliCores)
                    .ok_or_else(|| E::custom("cores are counted from 0 on"))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(CoresVisitor).map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

/// An amount of every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceAmounts {
    pub cpu: MilliCores,
    /// Memory in megabytes.
    pub mem_mb: u64,
    pub gpu: u64,
    /// Their memory in megabytes.
    pub gpu_mem_mb: u64,
}

impl ResourceAmounts {
    pub const NONE: Self = Self { cpu: MilliCores(0), mem_mb: 0, gpu: 0, gpu_mem_mb: 0 };
    /// One of everything: a core, a megabyte, an accelerator.
    pub const ONE: Self = Self { cpu: MilliCores::whole(1), mem_mb: 1, gpu: 1, gpu_mem_mb: 1 };

    /// How much of one kind, in units of that kind (thousandths of a core).
    #[must_use]
    pub const fn of(&self, resource: ResourceKind) -> u64 {
        match resource {
            ResourceKind::Cpu => self.cpu.0,
            ResourceKind::MemMb => self.mem_mb,
            ResourceKind::Gpu => self.gpu,
            ResourceKind::GpuMemMb => self.gpu_mem_mb,
        }
    }

    /// The same with another amount of one kind, in units of that kind.
    #[must_use]
    pub const fn with(mut self, resource: ResourceKind, units: u64) -> Self {
        match resource {
            ResourceKind::Cpu => self.cpu = MilliCores(units),
            ResourceKind::MemMb => self.mem_mb = units,
            ResourceKind::Gpu => self.gpu = units,
            ResourceKind::GpuMemMb => self.gpu_mem_mb = units,
        }
        self
    }

    /// Combines two kind by kind.
    #[must_use]
    pub fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        ResourceKind::ALL.into_iter().fold(Self::NONE, |sum, resource| {
            sum.with(resource, combine(self.of(resource), other.of(resource)))
        })
    }

    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// Saturating difference, kind by kind.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    /// The lesser of each kind.
    #[must_use]
    pub fn at_most(&self, other: &Self) -> Self {
        self.zip(other, u64::min)
    }

    /// The greater of each kind.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        self.zip(other, u64::max)
    }

    /// The first kind in which this exceeds `other`.
    #[must_use]
    pub fn exceeds(&self, other: &Self) -> Option<ResourceKind> {
        ResourceKind::ALL.into_iter().find(|resource| self.of(*resource) > other.of(*resource))
    }
}

/// Omits zero amounts: `2 cpu, 4096 mem_mb`.
impl fmt::Display for ResourceAmounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for resource in ResourceKind::ALL.into_iter().filter(|resource| self.of(*resource) > 0) {
            write!(f, "{comma}{} {}", resource.number(self.of(resource)), resource.as_str())?;
            comma = ", ";
        }
        if comma.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cores_may_be_fractions_and_are_written_whole_where_they_are() {
        let amounts: ResourceAmounts = serde_json::from_value(json!({ "cpu": 0.25, "mem_mb": 7 })).unwrap();
        assert_eq!(amounts.cpu.millis(), 250);
        assert_eq!(
            serde_json::to_value(amounts).unwrap(),
            json!({ "cpu": 0.25, "mem_mb": 7, "gpu": 0, "gpu_mem_mb": 0 })
        );
        let whole: ResourceAmounts = serde_json::from_value(json!({ "cpu": 4.0 })).unwrap();
        assert_eq!(serde_json::to_value(whole).unwrap()["cpu"], json!(4));
        for wrong in
            [json!({ "cpu": -1 }), json!({ "cpu": "4" }), json!({ "gpu": 0.5 }), json!({ "mem_mb": -1 })]
        {
            assert!(serde_json::from_value::<ResourceAmounts>(wrong.clone()).is_err(), "{wrong}");
        }
        assert_eq!((ResourceKind::Cpu.units(0.0001), ResourceKind::Gpu.units(1.5)), (Some(1), None));
        assert_eq!((ResourceKind::MemMb.units(f64::NAN), ResourceKind::MemMb.units(-1.0)), (None, None));
    }

    #[test]
    fn no_input_makes_a_sum_wrap() {
        let much: ResourceAmounts =
            serde_json::from_value(json!({ "cpu": 1e300, "mem_mb": u64::MAX })).unwrap();
        let more = much.plus(&much);
        assert_eq!((more.cpu.millis(), more.mem_mb), (u64::MAX, u64::MAX));
        assert_eq!(ResourceAmounts::NONE.minus(&much), ResourceAmounts::NONE);
        assert_eq!(much.exceeds(&ResourceAmounts::ONE), Some(ResourceKind::Cpu));
        assert_eq!(ResourceAmounts::ONE.exceeds(&ResourceAmounts::ONE), None);
    }

    #[test]
    fn people_read_what_there_is_of() {
        let amounts = ResourceAmounts { cpu: MilliCores(1_500), mem_mb: 4096, ..ResourceAmounts::NONE };
        assert_eq!(amounts.to_string(), "1.5 cpu, 4096 mem_mb");
        assert_eq!(ResourceAmounts::NONE.to_string(), "nothing");
    }
}
