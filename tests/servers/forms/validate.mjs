// Validates forms with Ajv. Reads {schema, forms} from standard input, and writes a list of
// {path: message} for each form.
import { text } from "node:stream/consumers";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const { schema, forms } = JSON.parse(await text(process.stdin));
const Validator = schema.$schema.includes("2020-12") ? Ajv2020 : Ajv;
// Strict, with the types of HTML forms and of JSON.
const ajv = new Validator({ allErrors: true, strict: true, allowUnionTypes: true });
const validate = addFormats(ajv).compile(schema);

const path = ({ instancePath, params }) =>
    params.missingProperty ?? params.additionalProperty ?? instancePath.split("/")[1];
const found = forms.map((form) => {
    validate(form);
    const errors = (validate.errors ?? []).filter(({ keyword }) => keyword !== "if");
    return Object.fromEntries(errors.map((error) => [path(error), error.message]));
});
process.stdout.write(JSON.stringify(found));
