//! Types that are not arrays. In: their names. Out: their forms.

use super::{Context, Defaults, Form};
use crate::schema::Schema;
use crate::settings::{BinaryHandling, DecimalFormat, DecimalHandling, HstoreHandling};
use crate::value::json;
use crate::value::{DecimalForm, Writer};

/// Bits of the scale in the lower half of a numeric's modifier, beside the precision in the upper; the highest is its sign.
const SCALE_MASK: i32 = 0x7FF;
const SCALE_SIGN: i32 = 0x400;

impl Context<'_> {
    /// The form of a base type by its name; `None` if it has none.
    pub(super) fn scalar(&self, name: &str, modifier: i32) -> Option<Form> {
        let number = |type_name| {
            Form::new(Writer::Integer, Schema::plain(type_name), "0")
                .with_defaults(Defaults::ConstantsAndFunctions("0"))
        };
        let float = |type_name| {
            Form::new(Writer::Float, Schema::plain(type_name), "0")
                .with_defaults(Defaults::ConstantsAndFunctions("0"))
        };
        Some(match name {
            "int2" => number("int16"),
            "int4" => number("int32"),
            "int8" => number("int64"),
            "oid" => Form::new(Writer::Integer, Schema::plain("int64"), "0"),
            "bool" => Form::new(Writer::Boolean, Schema::plain("boolean"), "f")
                .with_defaults(Defaults::ConstantsAndFunctions("f")),
            "float4" => float("float"),
            "float8" => float("double"),
            "numeric" => self.numeric(modifier),
            "money" => self.money(),
            "bytea" => self.bytea(),
            "hstore" => self.hstore(),
            "date" | "time" | "timetz" | "timestamp" | "timestamptz" | "interval" => {
                return self.temporal(name, modifier);
            }
            _ => return self.textual(name).or_else(|| special(name, modifier)),
        })
    }

    /// Types whose form is a string of their own text.
    fn textual(&self, name: &str) -> Option<Form> {
        let text = |schema| Form::new(Writer::Text, schema, "");
        let placeholder = || self.placeholder_json();
        let semantic = |name: &str| Schema::named("string", &format!("io.debezium.data.{name}"));
        let string = || Schema::plain("string");
        Some(match name {
            "text" | "varchar" | "bpchar" => text(string())
                .with_unavailable(placeholder())
                .with_defaults(Defaults::ConstantsAndFunctions("")),
            "char" | "name" | "citext" => text(string()).with_unavailable(placeholder()),
            "json" | "jsonb" => text(semantic("Json"))
                .with_unavailable(placeholder())
                .with_defaults(Defaults::ConstantsAndFunctions("{}")),
            "xml" => text(semantic("Xml"))
                .with_unavailable(placeholder())
                .with_defaults(Defaults::ConstantsAndFunctions("")),
            "uuid" => text(semantic("Uuid")).with_defaults(Defaults::ConstantsAndFunctions(
                "00000000-0000-0000-0000-000000000000",
            )),
            "ltree" => text(semantic("Ltree")).with_unavailable(placeholder()),
            "tsvector" => text(semantic("Tsvector")).with_unavailable(placeholder()),
            "inet" | "cidr" | "macaddr" | "macaddr8" => text(string()),
            "isbn" | "isbn13" | "issn" | "issn13" | "ismn" | "ismn13" | "ean13" | "upc" => {
                text(string())
            }
            _ => return range(name),
        })
    }

    fn numeric(&self, modifier: i32) -> Form {
        let declared = (modifier >= 4)
            .then(|| (((modifier - 4) >> 16).unsigned_abs() & 0xFFFF, numeric_scale(modifier)));
        let scale = declared.map(|(_, scale)| scale);
        let form = match (self.settings.decimal_handling, scale) {
            (DecimalHandling::Precise, Some(scale)) => self.unscaled(scale),
            (DecimalHandling::Precise, None) => DecimalForm::VariableScale,
            (DecimalHandling::Double, _) => DecimalForm::Double,
            (DecimalHandling::String, scale) => {
                DecimalForm::Digits(scale.map(|scale| u32::try_from(scale).unwrap_or(0)))
            }
        };
        let mut schema = decimal_schema(form);
        if let (DecimalHandling::Precise, Some((precision, scale))) =
            (self.settings.decimal_handling, declared)
        {
            schema = decimal_with_scale(scale)
                .with_parameter("connect.decimal.precision", precision.to_string());
        }
        decimal_form(Writer::Decimal(form), schema, form)
    }

    fn money(&self) -> Form {
        let scale = self.settings.money_fraction_digits;
        let form = match self.settings.decimal_handling {
            DecimalHandling::Precise => self.unscaled(scale.cast_signed()),
            DecimalHandling::Double => DecimalForm::Double,
            DecimalHandling::String => DecimalForm::Digits(Some(scale)),
        };
        let schema = decimal_schema(form);
        Form {
            defaults: Defaults::Hidden,
            ..decimal_form(Writer::Money(scale, form), schema, form)
        }
    }

    fn unscaled(&self, scale: i32) -> DecimalForm {
        match self.format.decimal_format {
            DecimalFormat::Base64 => DecimalForm::Unscaled(scale),
            DecimalFormat::Numeric => DecimalForm::Number(scale),
        }
    }

    fn bytea(&self) -> Form {
        let handling = self.settings.binary_handling;
        Form::new(Writer::Bytea(handling), binary_schema(handling), "\\x")
            .with_unavailable(self.unavailable_bytes())
    }

    /// The placeholder among hexadecimal values is its plain text, as Debezium has it.
    pub(super) fn unavailable_bytes(&self) -> Vec<u8> {
        let handling = self.settings.binary_handling;
        if handling == BinaryHandling::Hex {
            return self.placeholder_json();
        }
        let mut json = Vec::new();
        crate::value::base64::bytes_json(&self.placeholder.bytes, handling, &mut json);
        json
    }

    /// The placeholder as a JSON string.
    pub(super) fn placeholder_json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        json::string(self.placeholder.text.as_bytes(), &mut json);
        json
    }

    fn hstore(&self) -> Form {
        let pair = self.placeholder_json();
        let object = [b"{", &pair[..], b":", &pair, b"}"].concat();
        match self.settings.hstore_handling {
            HstoreHandling::Json => {
                let mut text = Vec::new();
                json::string(&object, &mut text);
                Form::new(Writer::HstoreText, Schema::named("string", "io.debezium.data.Json"), "")
                    .with_unavailable(text)
            }
            HstoreHandling::Map => {
                let schema =
                    Schema::map(Schema::plain("string"), Schema::plain("string").optional());
                Form::new(Writer::HstoreObject, schema, "").with_unavailable(object)
            }
        }
    }
}

/// The scale in a numeric's modifier. Debezium takes it for a number without sign.
pub(super) fn numeric_scale(modifier: i32) -> i32 {
    ((modifier - 4) & SCALE_MASK ^ SCALE_SIGN) - SCALE_SIGN
}

fn decimal_form(writer: Writer, schema: Schema, form: DecimalForm) -> Form {
    let missing = match form {
        DecimalForm::Digits(_) => "\"0\"",
        DecimalForm::Double => "0.0",
        DecimalForm::Number(_) => "0",
        DecimalForm::Unscaled(_) => "\"AA==\"",
        DecimalForm::VariableScale => "{\"scale\":0,\"value\":\"AA==\"}",
    };
    let defaults = match form {
        // A structure cannot be a default.
        DecimalForm::VariableScale => Defaults::Hidden,
        // With a fraction where the scale does not say how long it is.
        _ => Defaults::ConstantsAndFunctions("0.0"),
    };
    Form::new(writer, schema, "0").with_missing(missing).with_defaults(defaults)
}

fn decimal_with_scale(scale: i32) -> Schema {
    Schema::named("bytes", "org.apache.kafka.connect.data.Decimal")
        .with_parameter("scale", scale.to_string())
}

fn decimal_schema(form: DecimalForm) -> Schema {
    match form {
        DecimalForm::Double => Schema::plain("double"),
        DecimalForm::Digits(_) => Schema::plain("string"),
        DecimalForm::Unscaled(scale) | DecimalForm::Number(scale) => decimal_with_scale(scale),
        DecimalForm::VariableScale => Schema::structure(vec![
            Schema::plain("int32").field("scale"),
            Schema::plain("bytes").field("value"),
        ])
        .called("io.debezium.data.VariableScaleDecimal".to_owned(), Some(1))
        .with_doc("Variable scaled decimal"),
    }
}

/// Schema of bytes, as `binary.handling.mode` wants them.
pub(super) fn binary_schema(handling: BinaryHandling) -> Schema {
    Schema::plain(match handling {
        BinaryHandling::Bytes => "bytes",
        BinaryHandling::Base64 | BinaryHandling::Base64UrlSafe | BinaryHandling::Hex => "string",
    })
}

/// An enum type.
pub(super) fn enumeration(labels: &[String]) -> Form {
    let schema = Schema::named("string", "io.debezium.data.Enum")
        .with_parameter("allowed", labels.join(","));
    Form::new(Writer::Text, schema, "").with_defaults(Defaults::Constants)
}

/// A built-in range type.
pub(super) fn range(name: &str) -> Option<Form> {
    match name {
        "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" => {
            Some(Form::new(Writer::Text, Schema::plain("string"), ""))
        }
        _ => None,
    }
}

fn special(name: &str, modifier: i32) -> Option<Form> {
    let geometry = |name: &'static str| {
        let schema = Schema::structure(vec![
            Schema::plain("bytes").field("wkb"),
            Schema::plain("int32").optional().field("srid"),
        ])
        .called(format!("io.debezium.data.geometry.{name}"), Some(1))
        .with_doc(name);
        // An empty collection.
        Form::new(Writer::Geometry, schema, "010700000000000000")
    };
    let vector = |item, name: &str| {
        let schema =
            Schema::array(Schema::plain(item)).called(format!("io.debezium.data.{name}"), Some(1));
        Form::new(Writer::Vector, schema, "[0]").with_missing("[]")
    };
    Some(match name {
        "bit" | "varbit" if modifier == 1 || (name == "bit" && modifier < 0) => {
            Form::new(Writer::SingleBit, Schema::plain("boolean"), "0")
                .with_defaults(Defaults::ConstantsAndFunctions("0"))
        }
        "bit" | "varbit" => {
            let length = if modifier < 0 { i32::MAX } else { modifier };
            let schema = Schema::named("bytes", "io.debezium.data.Bits")
                .with_parameter("length", length.to_string());
            Form::new(Writer::Bits, schema, "").with_defaults(Defaults::ConstantsAndFunctions("0"))
        }
        "point" => Form::new(Writer::Point, point_schema(), "(0,0)"),
        "geometry" => geometry("Geometry"),
        "geography" => geometry("Geography"),
        "vector" => vector("double", "DoubleVector"),
        "halfvec" => vector("float", "FloatVector"),
        "sparsevec" => Form::new(Writer::SparseVector, sparse_vector_schema(), "{}/0"),
        _ => return None,
    })
}

fn point_schema() -> Schema {
    Schema::structure(vec![
        Schema::plain("double").field("x"),
        Schema::plain("double").field("y"),
        Schema::plain("bytes").optional().field("wkb"),
        Schema::plain("int32").optional().field("srid"),
    ])
    .called("io.debezium.data.geometry.Point".to_owned(), Some(1))
    .with_doc("Geometry (POINT)")
}

fn sparse_vector_schema() -> Schema {
    Schema::structure(vec![
        Schema::plain("int16").field("dimensions"),
        Schema::map(Schema::plain("int16"), Schema::plain("double")).field("vector"),
    ])
    .called("io.debezium.data.SparseDoubleVector".to_owned(), Some(1))
    .with_doc("Sparse double vector")
}
