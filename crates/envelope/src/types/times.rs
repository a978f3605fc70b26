//! Dates, times and intervals. In: `time.precision.mode`, `interval.handling.mode`. Out: their forms.

use super::{Context, Defaults, Form};
use crate::schema::Schema;
use crate::settings::{IntervalHandling, TimePrecision};
use crate::value::Writer;
use crate::value::temporal::{TimeForm, Unit};

/// Fraction digits of a type without a modifier.
const FRACTION_DIGITS_MAX: u8 = 6;

const CONNECT: &str = "org.apache.kafka.connect.data";
const DEBEZIUM: &str = "io.debezium.time";

impl Context<'_> {
    pub(super) fn temporal(&self, name: &str, modifier: i32) -> Option<Form> {
        let digits =
            u8::try_from(modifier).map_or(FRACTION_DIGITS_MAX, |it| it.min(FRACTION_DIGITS_MAX));
        let zoned = |name: &str| Schema::named("string", &format!("{DEBEZIUM}.{name}"));
        let (form, function) = match name {
            // Its defaults are left out.
            "timetz" => {
                let schema = zoned("ZonedTime");
                return Some(Form::new(Writer::TimeWithZone, schema, "00:00:00+00"));
            }
            "date" => (self.date(), "1970-01-01"),
            "time" => (self.time(digits), "00:00:00"),
            "timestamp" => (self.timestamp(digits), "1970-01-01 00:00:00"),
            "timestamptz" => (
                Form::new(
                    Writer::TimestampWithZone(digits),
                    zoned("ZonedTimestamp"),
                    "1970-01-01 00:00:00+00",
                )
                .with_missing("\"1970-01-01T00:00:00Z\""),
                "1970-01-01 00:00:00+00",
            ),
            "interval" => (self.interval(), "00:00:00"),
            _ => return None,
        };
        Some(form.with_defaults(Defaults::ConstantsAndFunctions(function)))
    }

    fn date(&self) -> Form {
        let (writer, schema) = match self.settings.time_precision {
            TimePrecision::IsoString => {
                (Writer::DateIso, Schema::named("string", &format!("{DEBEZIUM}.IsoDate")))
            }
            TimePrecision::Connect => {
                (Writer::DateDays, Schema::named("int32", &format!("{CONNECT}.Date")))
            }
            TimePrecision::Adaptive
            | TimePrecision::AdaptiveTimeMicroseconds
            | TimePrecision::Microseconds
            | TimePrecision::Nanoseconds => {
                (Writer::DateDays, Schema::named("int32", &format!("{DEBEZIUM}.Date")))
            }
        };
        Form::new(writer, schema, "1970-01-01")
    }

    fn time(&self, digits: u8) -> Form {
        let (unit, schema) = match self.settings.time_precision {
            TimePrecision::Adaptive if digits <= 3 => {
                (Unit::Millis, Schema::named("int32", &format!("{DEBEZIUM}.Time")))
            }
            TimePrecision::Adaptive
            | TimePrecision::AdaptiveTimeMicroseconds
            | TimePrecision::Microseconds => {
                (Unit::Micros, Schema::named("int64", &format!("{DEBEZIUM}.MicroTime")))
            }
            TimePrecision::Connect => {
                (Unit::Millis, Schema::named("int32", &format!("{CONNECT}.Time")))
            }
            TimePrecision::Nanoseconds => {
                (Unit::Nanos, Schema::named("int64", &format!("{DEBEZIUM}.NanoTime")))
            }
            TimePrecision::IsoString => {
                let schema = Schema::named("string", &format!("{DEBEZIUM}.IsoTime"));
                return Form::new(Writer::Time(TimeForm::Iso), schema, "00:00:00");
            }
        };
        Form::new(Writer::Time(TimeForm::Number(unit)), schema, "00:00:00")
    }

    fn timestamp(&self, digits: u8) -> Form {
        const ZERO: &str = "1970-01-01 00:00:00";
        let int64 = |name: &str| Schema::named("int64", name);
        let (unit, schema) = match self.settings.time_precision {
            TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds if digits <= 3 => {
                (Unit::Millis, int64(&format!("{DEBEZIUM}.Timestamp")))
            }
            TimePrecision::Adaptive
            | TimePrecision::AdaptiveTimeMicroseconds
            | TimePrecision::Microseconds => {
                (Unit::Micros, int64(&format!("{DEBEZIUM}.MicroTimestamp")))
            }
            TimePrecision::Connect => (Unit::Millis, int64(&format!("{CONNECT}.Timestamp"))),
            TimePrecision::Nanoseconds => {
                (Unit::Nanos, int64(&format!("{DEBEZIUM}.NanoTimestamp")))
            }
            TimePrecision::IsoString => {
                let schema = Schema::named("string", &format!("{DEBEZIUM}.IsoTimestamp"));
                return Form::new(Writer::Timestamp(TimeForm::Iso), schema, ZERO);
            }
        };
        Form::new(Writer::Timestamp(TimeForm::Number(unit)), schema, ZERO)
    }

    fn interval(&self) -> Form {
        match self.settings.interval_handling {
            IntervalHandling::Numeric => Form::new(
                Writer::IntervalMicros,
                Schema::named("int64", &format!("{DEBEZIUM}.MicroDuration")),
                "00:00:00",
            ),
            IntervalHandling::String => Form::new(
                Writer::IntervalIso,
                Schema::named("string", &format!("{DEBEZIUM}.Interval")),
                "00:00:00",
            ),
        }
    }
}
